"""The operator's page in a real browser (Chromium, headless): what it shows of a running daemon, and that it says
so when the daemon no longer answers. Skipped by name where Chromium is not installed."""
import base64
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from daemon import Daemon, Site
from harness import DEADLINE_S, SOURCE, Sim, wait_for
from test_daemon_api import SCENARIO
from test_daemon_people import HIGH, TOKENS, HazardsSite, PeopleSite, credentials

BROWSER = shutil.which("chromium")
PAGE = os.path.join(SOURCE, "daemon", "web", "console", "index.html")


def look(address, *texts):
    """The page's text after its scripts ran for a while of the browser's virtual time; looks again until it has the
    texts."""
    pages = [""]

    def complete():
        folder = tempfile.mkdtemp(prefix="canhbao-browser-")
        try:
            done = subprocess.run(
                [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", f"--user-data-dir={folder}", "--virtual-time-budget=3000", "--dump-dom",
                 f"http://{address}/"], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        pages[0] = done.stdout
        return all(text in done.stdout for text in texts)
    try:
        wait_for(complete, "the page has all texts")
    except AssertionError as error:
        raise AssertionError(f"{error}: {[text for text in texts if text not in pages[0]]}") from error
    return pages[0]


class Browser:
    """A page that is acted upon, over the browser's debugging pipe (Chrome DevTools Protocol)."""

    def __init__(self, address):
        self.folder = tempfile.mkdtemp(prefix="canhbao-browser-")
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()

        def arrange():  # the browser reads from descriptor 3 and writes to 4
            os.dup2(to_read, 98)
            os.dup2(from_write, 99)
            os.dup2(98, 3)
            os.dup2(99, 4)
        self.process = subprocess.Popen(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
             "--disable-dev-shm-usage", "--disable-background-networking", "--window-size=1400,1000", f"--user-data-dir={self.folder}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=arrange)
        os.close(to_read)
        os.close(from_write)
        self.pending, self.number, self.session = b"", 0, None
        target = self.call("Target.createTarget", url=f"http://{address}/")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.pending:
                got = os.read(self.from_read, 1 << 20)
                if not got:
                    raise AssertionError("the browser ended")
                self.pending += got
            line, self.pending = self.pending.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def text(self):
        return self.run("document.body ? document.body.innerText : ''")

    def row(self, text):
        return self.run(f"""([...document.querySelectorAll("tr")].find(r => r.innerText.includes({json.dumps(text)}))
            || {{innerText: ""}}).innerText""")

    def picture(self, path):
        data = self.call("Page.captureScreenshot")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def press(self, row, button, choose=None, **fields):
        """Presses a button in the table row that has a text, chooses of what is offered and fills in what is asked."""
        wait_for(lambda: self.run(f"""(() => {{
            const row = [...document.querySelectorAll("tr")].find(r => r.innerText.includes({json.dumps(row)}));
            const b = row && [...row.querySelectorAll("button")].find(b => b.textContent === {json.dumps(button)});
            if (b) b.click(); return !!b; }})()"""), f"the button {button}")
        self.fill(choose, **fields)

    def fill(self, choose=None, **fields):
        wait_for(lambda: self.run("document.getElementById('ask').open"), "the question")
        for value in (choose or {}).values():
            self.run(f"document.querySelector('#ask-fields select').value = {json.dumps(value)}")
        for index, value in enumerate(fields.values()):
            self.run(f"document.querySelectorAll('#ask-fields input')[{index}].value = {json.dumps(value)}")
        self.run("document.querySelector('#ask button[value=ok]').click()")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.to_write)
        os.close(self.from_read)
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        shutil.rmtree(self.folder, ignore_errors=True)


class OnlyThePage(http.server.SimpleHTTPRequestHandler):
    """Serves the page, and nothing that it asks for."""

    def do_GET(self):
        if self.path != "/":
            self.send_error(503)
            return
        with open(PAGE, "rb") as file:
            body = file.read()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def forecast():
    """One gauge of a flood run, as `canhbao-model flood --details` writes it; its third hour is unknown."""
    quantiles = {f"stage_{q}_m": [5.0 + d, 6.0 + d, None] for q, d in
                 (("q05", -1), ("q25", -0.5), ("q50", 0), ("q75", 0.5), ("q95", 1))}
    bands = {"time": ["2025-11-18T07:00:00Z", "2025-11-18T08:00:00Z", "2025-11-18T09:00:00Z"],
             "stage_zero_rain_m": [5, 5, 5], "stage_persistence_m": [5, 6, 7], **quantiles}
    gauge = {"station": "high", "provisional": True, "disagrees": True, "recovering": False, "updating": "open_loop",
             "levels": [{"level": 1, "at": 4, "reached_now": True, "probability": 1, "first_crossing_h": [1] * 5},
                        {"level": 2, "at": 6, "reached_now": False, "probability": None,
                         "first_crossing_h": [None] * 5}],
             "peak": {"stage_m": [None] * 5, "hours": [None] * 5, "still_rising_at_end": None}, "bands": bands,
             "past": {"time": ["2025-11-18T05:00:00Z", "2025-11-18T06:00:00Z"], "stage_m": [4.5, None]}}
    return {"reference_time": "2025-11-18T06:00:00Z", "forecast": {"gauges": [gauge], "warnings": ["no rain forecast"]}}


API = {
    "/api/v1/status": {"name_vi": "Thử", "time": "2025-11-18T10:30:00Z", "alarms": {"unacknowledged": 0, "raised": 0},
                       "stations": {"answering": 1, "total": 1}, "delivery": {"enabled": False}, "status": "Actual",
                       "clock_scale": 1, "conditions": []},
    "/api/v1/products": [{"id": "flood", "model": "flood", "files": ["forecast.json"]}],
    "/api/v1/products/flood/forecast.json": forecast(),
}


class PageAndForecast(OnlyThePage):
    """The page, and an interface that has one flood forecast."""

    def do_GET(self):
        if self.path == "/":
            super().do_GET()
            return
        body = json.dumps(API.get(self.path, [])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)


class Console(unittest.TestCase):
    def test_draws_a_flood_forecast(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(PageAndForecast, directory="/"))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            page = look(f"127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        page = page.split("<script>")[0]
        for text in ("<polygon", "BĐII", "BĐI: đã đạt", "BĐII: không rõ", "Đỉnh: không rõ", "270 phút trước – ĐÃ CŨ",
                     "không hiệu chỉnh theo trạm", "LỆCH NHAU", "no rain forecast", "tạm thời"):
            self.assertIn(text, page)
        self.assertNotIn("NaN", page)
        self.assertNotIn("KHÔNG ĐỌC ĐƯỢC DỰ BÁO", page)

    def test_shows_level_scale_place_and_that_it_is_a_test(self):
        with Sim(text=SCENARIO) as sim, Site(sim.ports, period="200 ms") as site, \
                Daemon(site.folder) as daemon:
            wait_for(lambda: daemon.level("high") == 2 and daemon.level("low") == 0, "both gauges are graded")
            look(daemon.web(), "Trạm high", "báo động II", "báo động lũ", "CHƯA XÁC NHẬN", "THỬ NGHIỆM",
                 "Kafka: MẤT KẾT NỐI", "1 báo động, 1 chưa xác nhận", "2/2 trạm có số liệu",
                 "1 quy tắc khác ở dưới mọi mức")

    def test_people_act_on_the_page(self):
        with Sim(text=HIGH) as sim, PeopleSite(sim.ports) as site, \
                Daemon(site.folder, options=("--test", "--credentials", credentials(self))) as daemon:
            wait_for(lambda: daemon.level("st-0") == 3 and daemon.level("st-1") == 3, "both stages are high")

            def state(place, member):
                return daemon.alarms()[("flood", place)][member]
            with Browser(daemon.web()) as browser:
                wait_for(lambda: "BẢN TIN CHỜ HAI NGƯỜI DUYỆT" in browser.text(), "the page shows the draft")
                # Each rung counts a revision: afterwards nothing moves by itself.
                wait_for(lambda: all("đã gọi 2 lần" in browser.row(f"Trạm {s}") for s in ("st-0", "st-1")), "both called")
                self.assertIn("lũ", browser.text())
                self.assertNotIn("Tạm gác", browser.text())  # nothing to press without a token
                browser.run("document.getElementById('who').click()")
                browser.fill(token="wrong-wrong-wrong-wrong")
                browser.press("Trạm st-0", "Xác nhận", reason="")
                wait_for(lambda: "Mã không đúng" in browser.text(), "a wrong token is told")
                self.assertEqual(state("st-0", "annunciation")["state"], "unacknowledged")
                for name in ("an", "binh"):
                    browser.run(f"sessionStorage.setItem('token', {json.dumps(TOKENS[name])}); showWho(); refreshNow()")
                    browser.press("Trạm st-0", "Duyệt phát", reason="")
                    wait_for(lambda: "Đã thực hiện: approve" in browser.text(), "the answer")
                    browser.run("say('')")
                    if name == "an":  # a command names the revision that the person saw: the page must show it
                        wait_for(lambda: "một người đã duyệt" in browser.row("Trạm st-0"), "the first one is shown")
                self.assertEqual(state("st-0", "publication")["state"], "issued")
                wait_for(lambda: "BẢN TIN" not in browser.row("Trạm st-0"), "the page shows that it is published")
                browser.press("Trạm st-0", "Xác nhận", reason="đã thấy")
                wait_for(lambda: state("st-0", "annunciation")["acknowledged_by"] == "http:binh", "acknowledged")
                browser.press("Trạm st-1", "Tạm gác", reason="sửa máy", minutes="15")
                wait_for(lambda: state("st-1", "override")["state"] == "shelved", "shelved")
                browser.press("lũ\tkon", "Ghi chú", reason="nước lên từ đêm")
                wait_for(lambda: any(e["alert"]["comment"] == "nước lên từ đêm" for e in
                                     daemon.ctl("events", "--limit", "50")), "the comment is on record")
                wait_for(lambda: "tạm gác" in browser.text(), "the page shows it")
                if os.environ.get("CANHBAO_PICTURE"):
                    browser.picture(os.environ["CANHBAO_PICTURE"])

    def test_people_decide_on_the_page(self):
        with Sim(text=HIGH) as sim, HazardsSite(sim.ports) as site, \
                Daemon(site.folder, options=("--test", "--credentials", credentials(self))) as daemon:
            wait_for(lambda: daemon.level("st-0", "rain-risk") == 2 and daemon.level("st-1", "dose") == 1 and
                     all(daemon.level(s) == 3 for s in ("st-0", "st-1")), "all are raised")

            def proposal():
                return [p for p in daemon.ctl("proposals") if p["rule"] == "rain-risk"][0]

            def floods():
                return len([i for i in daemon.ctl("incidents") if i["hazard"] == "flood" and i["state"] == "open"])
            with Browser(daemon.web()) as browser:
                wait_for(lambda: "CHƯA QUYẾT ĐỊNH" in browser.row("rủi ro từ 2 lên 3"), "the proposal is shown")
                self.assertIn("chưa ai duyệt", browser.row("Bản tin công khai"))
                browser.run(f"sessionStorage.setItem('token', {json.dumps(TOKENS['an'])}); showWho(); refreshNow()")
                # Each rung of a ladder counts a revision: afterwards nothing moves by itself.
                wait_for(lambda: all(browser.row(r).count("đã gọi 2 lần") for r in
                                     ("mực nước", "mưa lớn", "liều cao")), "everybody was called")
                browser.press("rủi ro từ 2 lên 3", "Nâng lên cấp độ rủi ro 3", reason="hồ xả")
                wait_for(lambda: proposal()["decision"] and proposal()["decision"]["state"] == "accepted", "accepted")
                wait_for(lambda: "đã nâng lên cấp độ rủi ro 3 · http:an" in browser.row("rủi ro từ 2 lên 3"), "it is shown")
                browser.press("rủi ro từ 2 lên 3", "Không nâng", reason="nước rút")
                wait_for(lambda: proposal()["decision"]["state"] == "refused", "refused")
                browser.press("Trạm st-1\tliều cao", "Nhận định", choose={"verdict": "fault"}, reason="")
                wait_for(lambda: [(v["place"], v["fault"]) for v in daemon.ctl("verdicts")] == [("st-1", 1)], "judged")
                browser.press("Trạm st-1\tmực nước", "Tách", reason="lưu vực khác")
                wait_for(lambda: floods() == 2, "split")
                wait_for(lambda: browser.text().count("lũ\tkon") == 2, "both are shown")
                browser.press("lũ\tkon", "Gộp vào…", reason="cùng một trận lũ", choose={})
                wait_for(lambda: len([i for i in daemon.ctl("incidents") if i["state"] == "merged"]) == 1, "merged")
                browser.press("Bản tin công khai", "Duyệt phát", reason="")
                wait_for(lambda: "một người đã duyệt (http:an)" in browser.text(), "the first of two is shown")
                if os.environ.get("CANHBAO_PICTURE_DECISIONS"):
                    browser.picture(os.environ["CANHBAO_PICTURE_DECISIONS"])

    def test_says_when_it_is_cut_off(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(OnlyThePage, directory="/"))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            page = look(f"127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        self.assertRegex(page, r'id="lost"[^>]*>MẤT KẾT NỐI VỚI MÁY CHỦ CẢNH BÁO')
        self.assertNotRegex(page, r'id="lost"[^>]*hidden')
        self.assertNotIn("quy tắc khác ở dưới mọi mức, theo số liệu mới", page.split("<script>")[0])


if __name__ == "__main__":
    if BROWSER is None:
        print("SKIPPED: console: Chromium is not installed")
        sys.exit(77)
    unittest.main()
