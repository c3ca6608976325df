"""The operator's page in a real browser (Chromium, headless): what it shows of a running daemon, and that it says
so when the daemon no longer answers. Skipped by name where Chromium is not installed."""
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
from harness import SOURCE, Sim, wait_for
from test_daemon_api import SCENARIO

BROWSER = shutil.which("chromium")
PAGE = os.path.join(SOURCE, "daemon", "web", "console", "index.html")


def look(address):
    """The page's text after its scripts ran for a while of the browser's virtual time."""
    folder = tempfile.mkdtemp(prefix="canhbao-browser-")
    try:
        done = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={folder}", "--virtual-time-budget=3000", "--dump-dom", f"http://{address}/"],
            capture_output=True, text=True, timeout=90, check=True)
        return done.stdout
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        with Sim(text=SCENARIO) as sim, Site(sim.ports, period="200 ms", stale_after="3 s") as site, \
                Daemon(site.folder) as daemon:
            wait_for(lambda: daemon.level("high") == 2 and daemon.level("low") == 0, "both gauges are graded")
            page = look(daemon.web())
            for text in ("Trạm high", "báo động II", "báo động lũ", "CHƯA XÁC NHẬN", "THỬ NGHIỆM", "Kafka: MẤT KẾT NỐI",
                         "1 báo động, 1 chưa xác nhận", "2/2 trạm có số liệu"):
                self.assertIn(text, page)
            self.assertIn("1 quy tắc khác ở dưới mọi mức", page)

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
