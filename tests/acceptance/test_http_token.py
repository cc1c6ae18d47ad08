"""``serve --http`` asks for a token, or is a socket that is the user's alone."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import platformdirs
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from support.second_user import give_away, needs_second_user, open_way, run_as_second_user
from support.serving import GUARD, HANDSHAKE, Setup, call, ended
from support.speaking import HANDSHAKES
from support.web import (
    ACCEPT,
    Answer,
    Stream,
    WebServer,
    bearer,
    client_of,
    fetch,
    free_port,
    modern,
    request,
    session,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = "a-token-of-the-test.0123456789~+/=="
posix = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets and modes of POSIX")


@pytest.fixture
def server(setup: Setup) -> Iterator[WebServer]:
    setup.settings["shutdown_timeout"] = 1
    with WebServer(setup.command) as running:
        yield running


def discover(server: WebServer, **headers: str) -> Answer:
    """What one request of 2026-07-28 gets that has these headers and no token besides."""
    message, names = modern("server/discover")
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch(server, message, headers={**names, **given}, knows=False)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_client_runs_a_job_with_the_token(server: WebServer, mode: Any) -> None:
    with anyio.fail_after(GUARD):
        async with client_of(server, mode) as client:
            handle = await call(client, "modules", prefixes=["this"])
            assert (await ended(client, handle["job_id"]))["result"] == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_client_without_the_token_gets_nothing(
    server: WebServer, mode: Any
) -> None:
    with (
        anyio.fail_after(GUARD),
        pytest.RaisesGroup(
            pytest.RaisesExc(MCPError, match="A token is needed"), flatten_subgroups=True
        ),
    ):
        async with Client(server.url, mode=mode) as client:
            await client.list_tools()


WRONG = ["x", "", "x y", f"{'x' * 30_000}", "\x80\xff"]


def test_who_has_no_token_gets_401_and_nothing_is_begun(server: WebServer) -> None:
    known = session(server)
    shell = request(1, "tools/call", name="modules", arguments={"prefixes": []})
    message, names = modern("tools/call", name="modules", arguments={"prefixes": []})
    for given in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": server.token}):
        tried = [
            fetch(server, message, headers={**names, **given}, knows=False),
            fetch(server, request(1, "initialize", **HANDSHAKE), headers=given, knows=False),
            fetch(server, shell, headers={**known, **given}, knows=False),
            fetch(server, method="GET", headers={**known, **given}, knows=False),
            fetch(server, method="DELETE", headers={**known, **given}, knows=False),
            fetch(server, method="OPTIONS", headers=given, knows=False),
        ]
        assert [answer.status for answer in tried] == [401] * len(tried), given
        assert {answer.headers["www-authenticate"] for answer in tried} == {
            'Bearer realm="mcp-queue"'
        }
        assert not any("mcp-session-id" in answer.headers for answer in tried)
        assert "Authorization: Bearer" in tried[0].body
    assert jobs(server) == []
    assert fetch(server, request(2, "ping"), headers=known).message["result"] == {}


def jobs(server: WebServer) -> list[Any]:
    message, headers = modern("tools/call", name="queue_list_jobs", arguments={})
    answer = fetch(server, message, headers=headers).message
    return answer["result"]["structuredContent"]["jobs"]


def test_a_wrong_token_is_said_to_be_wrong(server: WebServer) -> None:
    wrong = [*WRONG, server.token[:-1], server.token + "x", server.token.swapcase()]
    for token in wrong:
        answer = discover(server, **bearer(token))
        assert answer.status == 401, token
        said = answer.headers["www-authenticate"]
        assert said.startswith('Bearer realm="mcp-queue", error="invalid_token"'), token
        assert "resource_metadata" not in said
        assert token == "" or token not in answer.body or token == "x"
    assert "result" in discover(server, Authorization=f"bearer  {server.token}").message
    assert server.token not in server.stderr


def test_two_tokens_are_none(server: WebServer) -> None:
    message, names = modern("server/discover")
    body = json.dumps(message)
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=GUARD)) as sent:
        sent.putrequest("POST", "/mcp")
        for name, value in {**ACCEPT, **names, "Content-Length": str(len(body))}.items():
            sent.putheader(name, value)
        sent.putheader("Authorization", f"Bearer {server.token}")
        sent.putheader("Authorization", "Bearer another")
        sent.endheaders(body.encode())
        assert sent.getresponse().status == 401


def test_no_body_is_waited_for(server: WebServer) -> None:
    """The answer comes before the body, of whatever length it is said to be."""
    for length in (
        "Content-Length: 12",
        "Content-Length: 9999999999",
        "Transfer-Encoding: chunked",
    ):
        with socket.create_connection(("127.0.0.1", server.port), GUARD) as sent:
            head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n"
            sent.sendall(head.encode())
            assert sent.recv(100).startswith(b"HTTP/1.1 401 ")


def test_beside_the_endpoint_there_is_nothing_to_ask_a_token_for(server: WebServer) -> None:
    """Clients that got 401 look for the metadata of OAuth, and go on when there is none."""
    for path in ("/", "/.well-known/oauth-protected-resource", "/mcp/", "/mcp/x"):
        assert fetch(server, path=path, method="GET", knows=False).status == 404, path


# Where the token comes from.


def test_the_token_of_the_environment(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_QUEUE_HTTP_TOKEN", OWN)
    with WebServer(setup.command) as server:
        assert server.token_file is None
        assert "MCP_QUEUE_HTTP_TOKEN" in server.stderr
        assert OWN not in server.stderr
        assert "result" in discover(server, **bearer(OWN)).message
        assert discover(server, **bearer("x")).status == 401


def token_files() -> list[Path]:
    folder = Path(platformdirs.user_data_dir("mcp-queue", appauthor=False)) / "http"
    return sorted(folder.glob("*")) if folder.exists() else []


def test_the_file_of_the_token(setup: Setup) -> None:
    old = os.umask(0)
    try:
        with WebServer(setup.command) as server:
            file = server.token_file
            assert file is not None
            assert token_files() == [file]
            assert len(server.token) >= 43
            if sys.platform != "win32":
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
                assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    finally:
        os.umask(old)
    assert token_files() == []


def test_the_file_of_a_killed_server_is_replaced(setup: Setup) -> None:
    address = f"127.0.0.1:{free_port()}"
    with WebServer(setup.command, address) as killed:
        file, before = killed.token_file, killed.token
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        assert token_files() == [file]
        with WebServer(setup.command, address) as server:
            assert server.token_file == file
            assert server.token != before
            assert "result" in discover(server, **bearer(server.token)).message
            assert discover(server, **bearer(before)).status == 401
        killed.expect(-signal.SIGKILL)
    assert token_files() == []


@posix
@pytest.mark.parametrize("what", ["link", "file", "folder that others read"])
def test_the_folder_of_the_token(setup: Setup, what: str) -> None:
    folder = Path(platformdirs.user_data_dir("mcp-queue", appauthor=False)) / "http"
    folder.parent.mkdir(parents=True)
    if what == "link":
        (setup.folder / "elsewhere").mkdir()
        folder.symlink_to(setup.folder / "elsewhere")
    elif what == "file":
        folder.touch()
    else:
        folder.mkdir(0o755)
        with WebServer(setup.command):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        return
    done = serve(setup, "127.0.0.1:0")
    assert done.returncode == 1
    assert str(folder) in done.stderr
    assert "MCP_QUEUE_HTTP_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def serve(setup: Setup, address: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*setup.command, "--http", address, *more],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


@pytest.mark.parametrize("token", ["too short", "with space in it, and long", "\x1b]0;x\x07" + OWN])
def test_a_token_of_the_environment_that_is_none(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("MCP_QUEUE_HTTP_TOKEN", token)
    done = serve(setup, "127.0.0.1:0")
    assert done.returncode == 1
    assert "MCP_QUEUE_HTTP_TOKEN holds no token" in done.stderr
    assert token not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("over", ["http", "stdio"])
async def test_no_job_and_no_command_sees_the_token(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, over: str
) -> None:
    monkeypatch.setenv("MCP_QUEUE_HTTP_TOKEN", OWN)
    code = """
import os
from mcp_queue import command

@command
def in_server() -> dict[str, str]:
    return dict(os.environ)

@command(use_queue=True)
def in_job() -> dict[str, str]:
    return dict(os.environ)
"""
    (setup.folder / "telling.py").write_text(code)
    setup.commands = [str(setup.folder / "telling.py")]

    async def look(client: Client) -> None:
        seen = await call(client, "in_server")
        handle = await call(client, "in_job")
        job = await ended(client, handle["job_id"])
        for told in (seen, job, await call(client, "queue_health")):
            assert OWN not in json.dumps(told)
        assert job["status"] == "completed"
        assert "PATH" in job["result"]

    with anyio.fail_after(GUARD):
        if over == "stdio":
            async with setup.client() as client:
                await look(client)
            return
        with WebServer(setup.command) as server:
            async with client_of(server, headers=bearer(OWN)) as client:
                await look(client)
            assert OWN not in server.stderr


@posix
def test_on_a_terminal_the_token_is_shown(setup: Setup) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*setup.command, "--http", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while b"serving on" not in said:
            said += os.read(ours, 4096)
    finally:
        process.terminate()
        assert process.wait(GUARD) == 0
        os.close(ours)
    lines = said.decode().splitlines()
    [shown] = [line for line in lines if line.startswith("mcp-queue: the token is ")]
    assert len(shown.rpartition(" ")[2]) >= 43


def test_without_a_token_it_says_what_that_means(setup: Setup) -> None:
    with WebServer(setup.command, "127.0.0.1:0", "--no-token") as server:
        assert "result" in discover(server).message
        assert "result" in discover(server, **bearer("whatever")).message
        assert "every user and program of this machine" in server.stderr
        assert discover(server, Host="evil.example").status == 421
        assert discover(server, Origin="http://evil.example").status == 403
        assert token_files() == []


def test_no_token_goes_with_http(setup: Setup) -> None:
    done = subprocess.run(
        [*setup.command, "--no-token"], capture_output=True, text=True, check=False, timeout=GUARD
    )
    assert done.returncode == 2
    assert "--no-token goes with --http" in done.stderr
    told = subprocess.run(
        [*setup.command, "--help"], capture_output=True, text=True, check=False, timeout=GUARD
    )
    assert "Every user and program of this machine" in " ".join(told.stdout.split())


# Names and pages.


def test_the_names_of_this_machine(server: WebServer) -> None:
    """With any port, since it may be forwarded."""
    for host in ("localhost", "LocalHost", "127.0.0.1", "[::1]"):
        for port in ("", ":1", ":65535", f":{server.port}"):
            assert "result" in discover(server, Host=host + port, **bearer(server.token)).message
    for host in (
        "localhost:evil.example", "localhost:80@evil.example", "localhost:80:80", "localhost:",
        "localhost.", "xlocalhost", "127.0.0.1.evil.example", "[::1", "[::1]x", "::1", "[::2]",
        "localhost:123456", "", "localhost:\xb2", "localhost:80 ",
    ):  # fmt: skip
        if host.strip() == "localhost:80":
            continue
        assert discover(server, Host=host, **bearer(server.token)).status == 421, host


def test_pages_of_its_own_alone(server: WebServer) -> None:
    ours = [f"http://{host}:{server.port}" for host in ("localhost", "127.0.0.1", "[::1]")]
    for origin in ours:
        assert "result" in discover(server, Origin=origin, **bearer(server.token)).message
    for origin in (
        "http://localhost", "http://localhost:1", "http://localhost:evil.example",
        f"https://localhost:{server.port}", f"http://localhost:{server.port}.evil.example",
        f"http://localhost:{server.port}/", f"http://localhost:{server.port}@evil.example",
        f"{ours[0]}, {ours[0]}", "null", "", "file://", "\x80",
    ):  # fmt: skip
        assert discover(server, Origin=origin, **bearer(server.token)).status == 403, origin


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization", "Mcp-Session-Id", "X-Any"])
def test_what_a_header_says_steers_no_terminal(server: WebServer, name: str) -> None:
    for number in (*range(1, 9), 14, 27, 31, 127):
        value = f"localhost\x1b]0;owned\x07{chr(number)}"
        raw = raw_request(server, f"{name}: {value}", *needed_without(server, name))
        assert raw.startswith(b"HTTP/1.1 4"), raw
    for value in ("\x9b31m", "evil\xe2\x80\xaeexample"):
        raw_request(server, f"{name}: {value}", *needed_without(server, name))
    unprintable = [letter for letter in server.stderr if not letter.isprintable()]
    assert set(unprintable) <= {"\n"}


def test_control_characters_are_refused_in_any_header(server: WebServer) -> None:
    for value in ("\x1b]0;owned\x07", "\x01", "a\x7f", "\x1f"):
        assert discover(server, X_Any=value, **bearer(server.token)).status == 400, value
    for value in ("plain", "tab\tbed", "\xe9", "\xc3\xa9"):
        assert discover(server, X_Any=value, **bearer(server.token)).status == 200, value


def needed_without(server: WebServer, name: str) -> list[str]:
    needed = {"Host": "localhost", "Authorization": f"Bearer {server.token}"}
    return [f"{key}: {value}" for key, value in needed.items() if key != name]


def raw_request(server: WebServer, *headers: str) -> bytes:
    """The beginning of the answer to a request with these headers."""
    with socket.create_connection(("127.0.0.1", server.port), GUARD) as sent:
        lines = ["POST /mcp HTTP/1.1", *headers, "Content-Length: 2", "Connection: close", "", "{}"]
        sent.sendall("\r\n".join(lines).encode("latin-1"))
        return sent.recv(10_000)


# Another user of the machine.

KNOCK = """
import encodings.idna, http.client, json, sys

def knock(port, token):
    sent = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "run_shell", "arguments": {"command": "touch " + sys.argv[3]}}})
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    sent.request("POST", "/mcp", body, headers)
    return sent.getresponse().status

port, file = int(sys.argv[1]), sys.argv[2]
print(knock(port, None), knock(port, "guessed"))
try:
    print("read", knock(port, open(file).read()))
except PermissionError:
    print("cannot read")
"""


@needs_second_user
def test_another_user_runs_nothing(setup: Setup) -> None:
    setup.commands.append("mcp_queue_tools.shell")
    stolen = setup.folder / "stolen"
    with WebServer(setup.command) as server:
        assert server.token_file is not None
        open_way(server.token_file.parents[1])
        done = run_as_second_user(KNOCK, str(server.port), str(server.token_file), str(stolen))
        assert done.stdout == "401 401\ncannot read\n", done.stderr
        assert jobs(server) == []
    assert not stolen.exists()


CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sent:
    try:
        sent.connect(sys.argv[1])
    except OSError as error:
        print(type(error).__name__)
    else:
        print("connected")
"""


@needs_second_user
def test_another_user_cannot_use_the_socket(setup: Setup) -> None:
    open_way(setup.folder)
    path = setup.folder / "socket"
    old = os.umask(0)
    try:
        with WebServer(setup.command, f"unix:{path}"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert run_as_second_user(CONNECT, str(path)).stdout == "PermissionError\n"
            path.chmod(0o666)  # nothing else keeps them out
            assert run_as_second_user(CONNECT, str(path)).stdout == "connected\n"
    finally:
        os.umask(old)


@posix
def test_a_socket_needs_no_flag_against_tokens(setup: Setup) -> None:
    path = setup.folder / "socket"
    with WebServer([*setup.command, "--no-token"], f"unix:{path}") as server:
        assert "'--no-token'" in server.stderr
        assert "is ignored: a Unix socket is for you alone" in server.stderr


@needs_second_user
def test_another_users_socket_is_not_taken_for_ours(setup: Setup) -> None:
    """Neither served, nor removed."""
    shared = setup.folder / "shared"
    shared.mkdir()
    open_way(shared)
    shared.chmod(0o1777)
    path = shared / "socket"
    bind = "import socket, sys\nsocket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    assert run_as_second_user(bind, str(path)).returncode == 0
    done = serve(setup, f"unix:{path}")
    assert (done.returncode, "another user" in done.stderr) == (1, True)
    assert path.exists()
    shared.chmod(0o777)
    done = serve(setup, f"unix:{shared / 'other'}")
    assert (done.returncode, "other users can replace" in done.stderr) == (1, True)
    theirs = setup.folder / "theirs"
    theirs.mkdir(0o755)
    give_away(theirs)
    done = serve(setup, f"unix:{theirs / 'socket'}")
    assert (done.returncode, "other users can replace" in done.stderr) == (1, True)


# A Unix socket.


@posix
async def test_the_official_client_at_a_unix_socket(setup: Setup) -> None:
    path = setup.folder / "socket"
    with anyio.fail_after(GUARD), WebServer(setup.command, f"unix:{path}") as server:
        transport = httpx2.AsyncHTTPTransport(uds=server.socket_path)
        async with (
            httpx2.AsyncClient(transport=transport, timeout=GUARD) as http_client,
            Client(
                streamable_http_client("http://localhost/mcp", http_client=http_client)
            ) as client,
        ):
            handle = await call(client, "modules", prefixes=["this"])
            assert (await ended(client, handle["job_id"]))["result"] == []


@posix
@pytest.mark.parametrize("version", HANDSHAKES)
def test_a_unix_socket_in_the_era_of_sessions(setup: Setup, version: str) -> None:
    path = setup.folder / "socket"
    with WebServer(setup.command, f"unix:{path}") as server:
        assert "for you alone" in server.stderr
        assert server.listens() == []
        headers = session(server, version)
        listed = fetch(server, request(1, "tools/list"), headers=headers).message
        assert {"modules"} < {tool["name"] for tool in listed["result"]["tools"]}
        assert discover(server, Host="evil.example").status == 421
        assert discover(server, Origin="http://localhost").status == 403
        assert fetch(server, method="DELETE", headers=headers).status == 200
    assert not path.exists()
    assert token_files() == []


@posix
def test_a_socket_that_a_killed_server_left_is_replaced(setup: Setup) -> None:
    path = setup.folder / "socket"
    with WebServer(setup.command, f"unix:{path}") as killed:
        refused = serve(setup, f"unix:{path}")
        assert (refused.returncode, "another program listens" in refused.stderr) == (1, True)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        assert path.exists()
        with WebServer(setup.command, f"unix:{path}"):
            assert path.is_socket()
        killed.expect(-signal.SIGKILL)
    assert not path.exists()


@posix
@pytest.mark.parametrize("what", ["file", "folder", "link", "pipe"])
def test_what_is_no_socket_stays(setup: Setup, what: str) -> None:
    path, target = setup.folder / "socket", setup.folder / "target"
    target.write_text("kept")
    make = {
        "file": path.touch,
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(target),
        "pipe": lambda: os.mkfifo(path),
    }
    make[what]()
    before = path.lstat()
    done = serve(setup, f"unix:{path}")
    assert done.returncode == 1
    assert f"unix:{path}" in done.stderr
    assert "no socket" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.path.samestat(path.lstat(), before)
    assert target.read_text() == "kept"


@posix
@pytest.mark.parametrize(
    ("name", "why"),
    [("x" * 200, "too long"), ("no/such/folder", "No such file"), ("", "HOST:PORT")],
)
def test_a_path_that_can_be_none(setup: Setup, name: str, why: str) -> None:
    done = serve(setup, f"unix:{setup.folder / name if name else ''}")
    assert (done.returncode, why in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


# Floods.


def test_a_hundred_wrong_tokens_a_second_cost_nobody_else_anything(
    setup: Setup, server: WebServer, record_property: Any
) -> None:
    headers = session(server)
    idle = [asked(server, headers) for _ in range(100)]
    said = server.stderr
    over = threading.Event()
    floods = [Flood(server, over, rate=50) for _ in range(2)]
    for flood in floods:
        flood.start()
    for flood in floods:
        assert flood.begun.wait(GUARD)
    flooded = [asked(server, headers) for _ in range(100)]
    while sum(len(flood.statuses) for flood in floods) < 200:
        flooded.append(asked(server, headers))
    over.set()
    for flood in floods:
        flood.join(GUARD)
        assert set(flood.statuses) == {401}
    record_property("p95 idle, ms", p95(idle))
    record_property("p95 with wrong tokens, ms", p95(flooded))
    record_property("wrong tokens", sum(len(flood.statuses) for flood in floods))
    assert server.stderr == said


class Flood(threading.Thread):
    """Wrong tokens, so many a second, each on a connection of its own."""

    def __init__(self, server: WebServer, over: threading.Event, rate: int) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._over = over
        self._pause = 1 / rate
        self.begun = threading.Event()
        self.statuses: list[int] = []

    def run(self) -> None:
        while not self._over.wait(self._pause):
            wrong = ("Host: localhost", "Authorization: Bearer guessed")
            self.statuses.append(int(raw_request(self._server, *wrong).split(b" ")[1]))
            self.begun.set()


def asked(server: WebServer, headers: dict[str, str]) -> float:
    """The seconds that one honest request takes, which gets its answer."""
    begun = time.perf_counter()
    answer = fetch(server, request(1, "tools/list"), headers=headers)
    assert answer.message["result"]["tools"]
    return time.perf_counter() - begun


def p95(seconds: list[float]) -> float:
    return round(statistics.quantiles(seconds, n=20)[-1] * 1000, 1)


@posix
def test_connections_that_say_nothing_take_no_place(server: WebServer) -> None:
    """They are more than the server has descriptors."""
    import resource

    own = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 1024
    if own[1] < 4 * limit:
        pytest.skip(f"a process may not have {4 * limit} descriptors here")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    headers = session(server)
    stayer = Stream(server, method="GET", headers=headers)  # who came in stays
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * limit, own[1]))
    silent: list[socket.socket] = []
    try:
        for number in range(2 * limit):
            connection = socket.create_connection(("127.0.0.1", server.port), GUARD)
            silent.append(connection)
            if number % 2:
                connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: local")
        assert fetch(server, request(1, "ping"), headers=headers).message["result"] == {}
        assert fetch(server, request(2, "tools/list"), headers=headers).message["result"]["tools"]
    finally:
        for connection in silent:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, own)
    assert fetch(server, method="DELETE", headers=headers).status == 200
    with pytest.raises(AssertionError, match="has ended"):
        stayer.event()
    stayer.close()
