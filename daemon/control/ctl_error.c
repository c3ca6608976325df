#include "daemon/control/ctl_error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_lang.h"

enum { SENTENCE_SIZE = 1024, PARTS_MAX = 4, DEPTH_MAX = 3 };

/* The first that fits counts: more special ones stand first. As many '*' on both sides, in the same
 * order. */
static const struct {
    const char *en, *vi;
} sentences[] = {
    /* the daemon and its socket */
    {"no daemon answers at *: *", "không có chương trình giám sát trả lời tại *: *"},
    {"the socket path '*' is too long", "đường dẫn ổ cắm '*' quá dài"},
    {"cannot send: *", "không gửi được: *"},
    {"the daemon closed the connection", "chương trình giám sát đã đóng kết nối"},
    {"the daemon's reply cannot be read", "không đọc được trả lời của chương trình giám sát"},
    {"refused: *", "bị từ chối: *"},
    {"no reason given", "không nêu lý do"},
    {"no memory", "hết bộ nhớ"},
    /* the system's own */
    {"No such file or directory", "không có tệp hay thư mục này"},
    {"Connection refused", "máy kia từ chối kết nối"},
    {"Connection reset by peer", "máy kia cắt kết nối"},
    {"Connection timed out", "hết thời gian chờ kết nối"},
    {"Broken pipe", "kết nối đã đứt"},
    {"No route to host", "không có đường đến máy này"},
    {"Network is unreachable", "không tới được mạng này"},
    {"Permission denied", "không được phép"},
    {"Is a directory", "đó là thư mục"},
    {"No such device", "không có thiết bị này"},
    {"No such device or address", "không có thiết bị này"},
    {"Inappropriate ioctl for device", "đó không phải là cổng nối tiếp"},
    {"Input/output error", "lỗi vào ra"},
    {"Name or service not known", "không biết tên máy này"},
    {"No address associated with hostname", "tên máy này không có địa chỉ"},
    {"Temporary failure in name resolution", "tạm thời không tra được tên máy"},
    {"Servname not supported for ai_socktype", "cổng không hợp lệ"},
    /* the link to a device */
    {"*: unit *: *", "*: máy *: *"},
    {"cannot connect: no answer in time", "không kết nối được: không trả lời kịp"},
    {"no reply in time", "không trả lời kịp"},
    {"only a part of a reply in time", "chỉ kịp nhận một phần trả lời"},
    {"closed by the device", "thiết bị đã đóng kết nối"},
    {"what answers is no Modbus of this framing", "bên trả lời không nói Modbus kiểu khung này"},
    {"a reply to another request", "trả lời cho một lượt hỏi khác"},
    {"bad reply: wrong *", "trả lời hỏng: sai *"},
    {"a serial line has the units 1 to 247", "đường nối tiếp chỉ có máy số 1 đến 247"},
    {"cannot open the port: *", "không mở được cổng: *"},
    {"another program uses it", "chương trình khác đang dùng"},
    {"the port cannot switch the direction: *", "cổng không đổi được chiều truyền: *"},
    {"'*' is too long for a device", "'*' quá dài cho tên thiết bị"},
    {"exception *: *", "ngoại lệ *: *"},
    {"illegal function", "máy không có chức năng này"},
    {"illegal data address", "máy không có địa chỉ này"},
    {"illegal data value", "số lượng hay giá trị không hợp lệ"},
    {"server device failure", "máy bị hỏng bên trong"},
    {"acknowledge", "đã nhận, còn đang làm"},
    {"server device busy", "máy đang bận"},
    {"memory parity error", "lỗi chẵn lẻ bộ nhớ"},
    {"gateway path unavailable", "bộ chuyển tiếp không có đường đến máy"},
    {"gateway target device failed to respond", "máy sau bộ chuyển tiếp không trả lời"},
    {"unknown exception", "ngoại lệ lạ"},
    {"length", "độ dài"},
    {"unit id", "số máy"},
    {"holding register 0", "thanh ghi holding 0"},
    {"no text: *", "không phải chữ: *"},
    /* arguments and files */
    {"'*' is not valid UTF-8", "'*' không phải UTF-8"},
    {"* is not valid UTF-8", "* không phải UTF-8"},
    {"*: not valid UTF-8", "*: không phải UTF-8"},
    {"*: expected a CSV file with the header time,value",
     "*: phải là tệp CSV có dòng đầu time,value"},
    {"*: cannot be read: *", "*: không đọc được: *"},
    {"*: cannot be opened: *", "*: không mở được: *"},
    {"*: no rows", "*: không có dòng nào"},
    {"*: more than * rows", "*: nhiều hơn * dòng"},
    {"*: expected a time with its zone, and a number or nothing",
     "*: phải là thời điểm có múi giờ, và một số hoặc bỏ trống"},
    {"*: expected a number up to *, got '*'", "*: phải là số đến *, nhận được '*'"},
    {"*: expected DEGREES/M_S such as 270/3, got '*'",
     "*: phải là ĐỘ/M_S như 270/3, nhận được '*'"},
    {"*: expected 10 min to * d", "*: phải từ 10 min đến * d"},
    {"event * cannot be counted", "không đếm được sự kiện *"},
    /* reasons of the daemon at a station's commands */
    {"there is no station '*'", "không có trạm '*'"},
    {"there is no station *", "không có trạm *"},
    {"there is no point *", "không có điểm đo *"},
    {"there is no record * of *", "không có biên bản * của *"},
    {"record * is revoked already", "biên bản * đã hủy rồi"},
    {"station '*' has no point '*'", "trạm '*' không có điểm đo '*'"},
    {"* has no point '*'", "* không có điểm đo '*'"},
    {"the point * is no rain bucket", "điểm đo * không phải gàu mưa"},
    {"a bucket test runs at * already", "đang có một lần thử gàu tại *"},
    {"a bucket test ends by itself within 4 h", "thử gàu tự kết thúc trong vòng 4 h"},
    {"no bucket test of * runs at *", "không có lần thử gàu nào của * tại *"},
    {"a spot needs the value read by hand, its time and a tolerance",
     "đọc đối chứng cần số đọc tay, thời điểm và dung sai"},
    {"a calibration needs the time it applies from and the instrument",
     "hiệu chuẩn cần thời điểm áp dụng và dụng cụ"},
    {"a calibration needs two points with different shown values",
     "hiệu chuẩn cần hai điểm có số máy báo khác nhau"},
    {"a gain of * is no calibration: expected *; look at the register's type and scale",
     "hệ số * không phải hiệu chuẩn: phải là *; hãy xem kiểu và tỷ lệ của thanh ghi"},
    {"amounts are multiplied: the first point of a rain gauge is 0 and 0",
     "lượng mưa chỉ nhân hệ số: điểm đầu của máy đo mưa là 0 và 0"},
    {"no total of the bucket was read during the test: it cannot be judged",
     "trong lúc thử không đọc được tổng của gàu: không đánh giá được"},
    {"the end of * is in the past", "lúc kết thúc của * đã qua"},
    {"* may last * at most", "* kéo dài nhiều nhất *"},
    {"* needs an actor and a reason", "* cần người làm và lý do"},
    {"the station * is not under maintenance", "trạm * không đang bảo trì"},
    {"* calibrations are in force: revoke old ones", "đang có * hiệu chuẩn: hãy hủy những bản cũ"},
    {"revoke needs a record and a reason", "hủy biên bản cần số biên bản và lý do"},
    {"row * is not in the past", "dòng * không ở quá khứ"},
    {"rows: row * is not later than the one before", "dòng * không sau dòng trước nó"},
    {"* needs the key \"reason\"", "* cần --reason"},
    {"* needs the key \"*\"", "* cần \"*\""},
    {"unknown request \"*\"", "chương trình giám sát không biết lệnh \"*\""},
    {"*: expected *", "*: phải là *"},
    {"*: *", "*: *"}, /* last: a file, a place or an option, and what is wrong with it */
};

/* One literal piece of a pattern, up to its '*' or end. */
static size_t piece_length(const char *pattern) {
    return strcspn(pattern, "*");
}

struct part {
    const char *text;
    size_t length;
};

/* Whether a text is the pattern, each '*' as short as can be; the last one takes all that is left.
 */
static bool match(const char *pattern, const char *text, struct part parts[PARTS_MAX]) {
    size_t length = piece_length(pattern);
    if (strncmp(pattern, text, length) != 0) {
        return false;
    }
    pattern += length;
    text += length;
    for (int i = 0; i < PARTS_MAX && *pattern == '*'; i++) {
        const char *next = ++pattern;
        length = piece_length(next);
        const char *end = text;
        if (length == 0) {
            end += strlen(text);
        } else {
            bool last = next[length] == '\0';
            while (*end != '\0' && strncmp(end, next, length) != 0) {
                end++;
            }
            /* What ends the pattern ends the text. */
            end = last && strlen(text) >= length ? text + strlen(text) - length : end;
            if (strncmp(end, next, length) != 0) {
                return false;
            }
        }
        parts[i] = (struct part){text, (size_t)(end - text)};
        pattern = next + length;
        text = end + length;
    }
    return *pattern == '\0' && *text == '\0';
}

static void translate(const char *english, char *ret_text, size_t size, int depth);

/* Puts the parts, translated themselves, into the other language's sentence. */
static void fill(const char *pattern, const struct part parts[PARTS_MAX], char *ret_text,
                 size_t size, int depth) {
    size_t used = 0;
    int part = 0;
    for (const char *at = pattern; *at != '\0' && used + 1 < size; at++) {
        if (*at != '*') {
            ret_text[used++] = *at;
            continue;
        }
        char piece[SENTENCE_SIZE];
        size_t length = parts[part].length < sizeof piece ? parts[part].length : sizeof piece - 1;
        memcpy(piece, parts[part].text, length);
        piece[length] = '\0';
        part++;
        translate(piece, ret_text + used, size - used, depth + 1);
        used += strlen(ret_text + used);
    }
    ret_text[used] = '\0';
}

static void translate(const char *english, char *ret_text, size_t size, int depth) {
    for (size_t i = 0; depth < DEPTH_MAX && i < sizeof sentences / sizeof sentences[0]; i++) {
        struct part parts[PARTS_MAX];
        if (match(sentences[i].en, english, parts)) {
            fill(sentences[i].vi, parts, ret_text, size, depth);
            return;
        }
    }
    (void)snprintf(ret_text, size, "%s", english);
}

void ctl_translate(const char *english, char *ret_text, size_t size) {
    if (ctl_is_vietnamese()) {
        translate(english, ret_text, size, 0);
    } else {
        (void)snprintf(ret_text, size, "%s", english);
    }
}

void ctl_error(const char *format, ...) {
    char english[SENTENCE_SIZE], text[SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(english, sizeof english, format, arguments); /* cut at the size */
    va_end(arguments);
    ctl_translate(english, text, sizeof text);
    fprintf(stderr, "canhbaoctl: %s\n", text);
}
