import http.server
import json
import shutil
import threading

import pytest

from flows.runtime.notes import IDENTITY_PATH, find, identity, is_ours, write_note


class _Server(http.server.ThreadingHTTPServer):
    """Answers every path with `text`."""

    def __init__(self, text):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.text = text
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.text.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(text):
        servers.append(_Server(text))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_server_is_ours_only_by_its_own_answer(tmp_path, serve):
    server = serve(identity(tmp_path))
    write_note(tmp_path / "on-demand.json", url=server.url)
    assert find(tmp_path) == ("on-demand", f"{server.url}/api")
    assert server.asked == [IDENTITY_PATH]
    stranger = serve("true")
    write_note(tmp_path / "on-demand.json", url=stranger.url)
    assert find(tmp_path) is None


def test_the_server_of_up_comes_first(tmp_path, serve):
    server, other = serve(identity(tmp_path)), serve(identity(tmp_path))
    write_note(tmp_path / "on-demand.json", url=server.url)
    write_note(tmp_path / "up.json", url=other.url)
    assert find(tmp_path) == ("up", f"{other.url}/api")


def test_a_copied_workspace_does_not_use_the_original_s_server(tmp_path, serve):
    home, copy = tmp_path / "home", tmp_path / "copy"
    home.mkdir()
    server = serve(identity(home))
    write_note(home / "on-demand.json", url=server.url)
    shutil.copytree(home, copy)
    assert find(home) is not None
    assert find(copy) is None


@pytest.mark.parametrize(
    "left",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '{"url": 3}',
        '{"url": "http://127.0.0.1:x"}',
        '{"url": "http://127.0.0.1:1"}',
        '{"url": "http://127.0.0.1:99999"}',
        '{"url": "http://example.org:80"}',
        '{"url": "file:///etc/passwd"}',
        "\x00\xff",
    ],
)
def test_a_left_over_note_is_ignored(tmp_path, left):
    (tmp_path / "on-demand.json").write_text(left, encoding="latin-1")
    assert find(tmp_path) is None


def test_a_note_is_json_with_the_address(tmp_path):
    write_note(tmp_path / "up.json", url="http://127.0.0.1:4200")
    assert json.loads((tmp_path / "up.json").read_text())["url"] == "http://127.0.0.1:4200"
    assert [path.name for path in tmp_path.iterdir()] == ["up.json"]
    assert not is_ours("http://127.0.0.1:1", prefect_home=tmp_path)
