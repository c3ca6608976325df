"""The operator's page in a real browser (Chromium, headless): what it shows of a running daemon, and that it says
so when the daemon no longer answers. Skipped by name where Chromium is not installed."""
import functools
import http.server
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


class Console(unittest.TestCase):
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
