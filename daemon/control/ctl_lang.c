#include "daemon/control/ctl_lang.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *en, *vi;
} words[] = {
    /* qualities, states */
    {"good", "tốt"},
    {"suspect", "nghi ngờ"},
    {"fail", "sai"},
    {"missing", "thiếu"},
    {"not evaluated", "chưa đánh giá"},
    {"ok", "được"},
    {"timeout", "quá hạn"},
    {"no_connection", "mất kết nối"},
    {"bad_reply", "trả lời hỏng"},
    {"exception", "ngoại lệ"},
    {"sentinel", "máy báo không có số"},
    {"not_a_number", "không phải số"},
    {"skipped", "bỏ lượt"},
    {"no_data_yet", "chưa có số liệu"},
    {"no_threshold", "chưa có ngưỡng"},
    {"not_in_force", "quy định không có hiệu lực"},
    {"unknown", "không rõ"},
    {"none", "không"},
    {"passed", "ĐẠT"},
    {"NOT passed", "KHÔNG ĐẠT"},
    {"provisional", "tạm thời"},
    /* watch */
    {"station", "trạm"},
    {"point", "điểm đo"},
    {"value", "giá trị"},
    {"unit", "máy"},
    {"quality", "chất lượng"},
    {"request", "lượt hỏi"},
    {"age", "tuổi"},
    {"q: quit   arrows: scroll", "q: thoát   mũi tên: cuộn"},
    {"under maintenance", "đang bảo trì"},
    {"bucket test", "đang thử gàu"},
    {"stale", "cũ"},
    /* spot, calibrate, bucket test */
    {"read by hand", "đọc tay"},
    {"logged", "máy ghi"},
    {"difference", "chênh lệch"},
    {"tolerance", "dung sai"},
    {"nothing was logged at that minute", "máy không ghi gì vào phút đó"},
    {"record", "biên bản"},
    {"instrument", "dụng cụ"},
    {"by", "người làm"},
    {"applies from", "áp dụng từ"},
    {"before (shown)", "trước (máy báo)"},
    {"after (reference)", "sau (chuẩn)"},
    {"gain", "hệ số"},
    {"offset", "bù"},
    {"revoked", "đã hủy"},
    {"reason", "lý do"},
    {"poured", "đã đổ"},
    {"counted", "đếm được"},
    {"tips", "lần lật"},
    {"error", "sai số"},
    {"estimated depth of a tip", "độ sâu một lần lật (ước tính)"},
    {"the test runs: pour now, slowly; press Enter after the last tip, Ctrl-D gives up",
     "đang thử: đổ nước từ từ; nhấn Enter sau lần lật cuối, Ctrl-D để bỏ"},
    {"waiting for the next reading of the bucket", "chờ lần đọc gàu tiếp theo"},
    {"the test was given up; its tips are no rain", "đã bỏ thử; các lần lật không tính là mưa"},
    {"maintenance until", "bảo trì đến"},
    {"maintenance has ended", "đã hết bảo trì"},
    {"no records", "chưa có biên bản"},
    {"calibrate", "hiệu chuẩn"},
    {"spot", "đọc đối chứng"},
    {"bucket-test", "thử gàu"},
    /* scan, probe, plan, diag */
    {"units answer", "thiết bị trả lời"},
    {"answered in", "trả lời trong"},
    {"round", "lượt"},
    {"changed since the last answer", "đã đổi so với lần trả lời trước"},
    {"plausible: a number between 0.001 and 1,000,000 in size",
     "hợp lý: số có độ lớn từ 0,001 đến 1.000.000"},
    {"link", "đường truyền"},
    {"last trouble", "trục trặc gần nhất"},
    {"last good reply", "trả lời tốt gần nhất"},
    {"connections made", "số lần kết nối"},
    {"requests", "số lượt hỏi"},
    {"answered", "có trả lời"},
    {"timeouts", "quá hạn (lần)"},
    {"broken replies", "trả lời hỏng (lần)"},
    {"exceptions", "ngoại lệ (lần)"},
    {"slots skipped", "lượt bỏ qua"},
    {"round trip, half below", "thời gian đi về, một nửa dưới"},
    {"round trip, 95 % below", "thời gian đi về, 95 % dưới"},
    {"it is not asked by this daemon", "chương trình này không hỏi trạm"},
    {"of the connection, with all stations that share it, since the start",
     "của kết nối, gồm mọi trạm dùng chung, từ lúc khởi động"},
    {"once through all of them: at most", "một vòng tất cả: nhiều nhất"},
    {"load of the endpoint, all stations", "tải của đường truyền, mọi trạm"},
    {"every reply as late as it may be", "khi mọi trả lời đều trễ nhất"},
    {"unit  table     start  count  points  thrown away  period",
     "máy   bảng      đầu    số     điểm    đọc thừa     chu kỳ"},
    {"of the requests", "số lượt hỏi"},
    {"asked", "hỏi lúc"},
    {"found", "tìm thấy"},
    {"answering", "có trả lời"},
    {"silent", "im lặng"},
    {"idle", "rảnh"},
    {"connecting", "đang kết nối"},
    {"connected", "đã kết nối"},
    {"paused", "tạm nghỉ"},
    {"too much", "quá tải"},
    /* diag: the logger */
    {"identity", "nhận dạng máy"},
    {"right", "đúng máy"},
    {"wrong", "SAI MÁY"},
    {"unchecked", "chưa kiểm tra"},
    {"expected", "phải là"},
    {"device clock", "đồng hồ máy"},
    {", WRONG", ", SAI"},
    {"checked", "xem lúc"},
    {"logger memory", "bộ nhớ máy"},
    {"reading", "đang đọc"},
    {"waiting", "đang chờ"},
    {"records taken", "bản ghi đã lấy"},
    {"hole", "khoảng trống"},
    {"refused", "không nhận"},
    {"impossible_time", "giờ vô lý"},
    {"out_of_order", "sai thứ tự"},
    {"overwritten", "bị ghi đè"},
    {"repeated", "lặp lại"},
    {"wrong_clock", "đồng hồ sai"},
    {"wrong_index", "chỉ số sai"},
};

bool ctl_is_vietnamese(void) {
    static const char *const variables[] = {CTL_LANG_VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && value[0] != '\0') {
            return strncmp(value, "vi", 2) == 0;
        }
    }
    return false;
}

const char *ctl_tr(const char *english) {
    if (ctl_is_vietnamese()) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (strcmp(words[i].en, english) == 0) {
                return words[i].vi;
            }
        }
    }
    return english;
}
