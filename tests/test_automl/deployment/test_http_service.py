"""Models behind real HTTP: predictions equal to automl.load's, refusals, and a clean shutdown."""

import base64
import http.client
import io
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest
import small_models
import uvicorn
from PIL import Image
from processes import listens_on_loopback_alone
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import Response

import automl
from automl.cli.serve import listening
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.data.inputs import Columns, Padded, Tokens
from automl.deployment import http_limits
from automl.deployment.http_limits import BACKLOG, HEAD_BYTES, MAX_CONNECTIONS, LimitedProtocol, RateLimit
from automl.deployment.http_page import page
from automl.deployment.http_service import Limits, Service
from automl.deployment.json_predictions import JointJsonPredictions, JsonPredictions
from automl.deployment.predictor import Predictor
from automl.deployment.several_targets import JointPredictor
from automl.errors import UserError

LIMITS = Limits(1_000, 1_000_000, 30.0)


def ask(url, examples=None, *, body=None, kind="application/json", path="/predict"):
    """Status and content of an answer; a GET where nothing is sent."""
    if body is None and examples is not None:
        body = json.dumps({"examples": examples}).encode()
    request = urllib.request.Request(url + path, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def metrics(url):
    """The samples of a service, by name and labels."""
    with urllib.request.urlopen(url + "/metrics", timeout=60) as answer:
        kind, text = answer.headers["Content-Type"], answer.read().decode()
    assert kind.startswith("text/plain")
    return {s.name + str(s.labels): s.value for family in text_string_to_metric_families(text) for s in family.samples}


@contextmanager
def served(predictor, limits=LIMITS, token=None):
    """A real server of a model in a thread."""
    service = Service(predictor, limits, token)
    try:
        with running(service.app) as url:
            yield url
    finally:
        service.close()


@contextmanager
def running(app):
    """A real server in a thread."""
    with listening("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            app, http=LimitedProtocol, ws="none", h11_max_incomplete_event_size=HEAD_BYTES, backlog=BACKLOG,
            log_level="error", lifespan="off", timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def test_an_answer_does_not_wait_for_an_acknowledgment():
    with listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """The folder of a run on a table, and the table."""
    run = tmp_path_factory.mktemp("table") / "run"
    frame = small_models.table(run, classes=True)
    return small_models.trained(run, "gradient_boosting", epochs=4), frame


@pytest.fixture(scope="module")
def command(patients):
    """The command itself, as it is started from a terminal; at its end a polite kill."""
    run, _ = patients
    limits = ["--max-rows", "500", "--max-bytes", "200000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "automl", "serve", str(run), "--port", "0", *limits],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("patients-outcome: POST http://127.0.0.1:"), process.stderr.read()
    yield line.split("POST ")[1].split("/predict")[0]
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


# --- the command ------------------------------------------------------------------------------------------------------


def test_many_clients_at_once_get_the_answers_of_the_model(patients, command):
    run, frame = patients
    examples = small_models.as_json(frame.drop(columns="outcome"))
    predictor = automl.load(run)
    own, sure = predictor.predict(frame), predictor.predict_proba(frame)
    parts = [slice(start, start + 10) for start in range(0, len(frame), 10)] * 3

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda part: ask(command, examples[part]), parts))
    for part, (status, answer) in zip(parts, answers, strict=True):
        assert status == 200
        assert answer["predictions"] == own[part].tolist()
        told = [[each["ill"], each["well"]] for each in answer["probabilities"]]
        assert np.allclose(told, sure[part], rtol=0, atol=1e-12)


def test_it_listens_on_loopback(command):
    assert listens_on_loopback_alone(int(command.rpartition(":")[2]))


def test_health_and_the_schema_are_those_of_this_model(command):
    status, health = ask(command, path="/health")
    assert (status, health["status"], health["task"], health["made"]) == (200, "ok", "patients-outcome", "single")
    assert health["version"] == 1
    assert health["versions"] == {"torch": "2"}
    _, schema = ask(command, path="/openapi.json")
    post = schema["paths"]["/predict"]["post"]
    examples = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["examples"]
    assert examples["maxItems"] == 500
    assert examples["items"]["required"] == ["a", "b", "c", "d", "admitted", "clinic"]
    assert examples["items"]["properties"]["a"] == {"type": ["number", "null"]}
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert answer["predictions"]["items"]["enum"] == ["ill", "well"]


GOOD = {"a": 1, "b": None, "c": 3, "d": 4, "admitted": "03.04.2020", "clinic": "never seen", "extra": []}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"a": "x"}, "example 1, 'a' must be a number or null, got 'x'"),
        ({"a": True}, "example 1, 'a' must be a number or null, got True"),
        ({"a": 1e300}, "example 1, 'a' must be a number of at most 3.4e+38 in size, got 1e+300"),
        ({"a": 10**400}, "example 1, 'a' must be a number of at most 3.4e+38 in size, got 1000"),
        ({"a": [1]}, "example 1, 'a' must be a number or null, got a list"),
        ({"admitted": "4/3/2020"}, "example 1, 'admitted' must be a date as %d.%m.%Y, or null, got '4/3/2020'"),
        ({"admitted": 5}, "example 1, 'admitted' must be a string, got 5"),
        ({"clinic": {}}, "example 1, 'clinic' must be a string, a number, true, false or null, got an object"),
    ],
)
def test_wrong_values_are_refused_with_their_place(change, reason, command):
    assert ask(command, [GOOD])[0] == 200
    status, answer = ask(command, [GOOD | change])
    assert status == 422
    assert answer["detail"].startswith(reason)
    assert len(answer["detail"]) < 320


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 422, "the body is not JSON: "),
        (b"\xff", 422, "the body is not JSON: "),
        (b"[" * 100_000, 422, "the body is not JSON: "),
        (b'{"examples": [{"a": NaN}]}', 422, "the body is not JSON: NaN is not valid JSON"),
        (b"[]", 422, 'send an object {"examples": [...]}'),
        (b'{"examples": []}', 422, "with at least one example"),
        (b'{"examples": "/etc/passwd"}', 422, "with at least one example"),
        (b'{"examples": [3]}', 422, "example 1 must be an object with 'a', "),
        (b'{"examples": [{"a": 1}]}', 422, "example 1 lacks 'b', an input of the model"),
        (b'{"examples": [' + b"0," * 500 + b"0]}", 413, "501 examples; at most 500 are allowed"),
        (b" " * 200_001, 413, "the body has more than 200,000 bytes"),
        (b" " * 60_000_000, 413, "the body has more than 200,000 bytes"),
    ],
)
def test_what_is_no_request_is_refused(body, status, reason, command):
    host = command.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.load(answer)
    finally:
        connection.close()
    assert (answer.status, list(content)) == (status, ["detail"])
    assert reason in content["detail"]


def test_a_page_in_a_browser_cannot_ask_unseen(command):
    body = json.dumps({"examples": [GOOD]}).encode()
    assert ask(command, body=body, kind="text/plain") == (415, {"detail": "send Content-Type: application/json"})
    assert ask(command, body=body, kind="application/json; charset=utf-8")[0] == 200


@pytest.mark.parametrize(
    ("host", "line"),
    [("127.0.0.1", "cannot listen on 127.0.0.1, port "), ("no.such.host.invalid", "cannot listen on no")],
)
def test_an_address_that_is_not_to_be_had_is_one_line(host, line, patients):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "automl", "serve", str(patients[0]), "--host", host, "--port", port]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 2
    assert shown.stderr.startswith(f"automl: {line}")
    assert shown.stderr.count("\n") == 1


def test_a_missing_extra_is_one_line(patients):
    code = (
        "import sys; sys.modules['fastapi'] = None; import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'fastapi' else find(name)\n"
        "from automl.cli import run_command; run_command('serve', [sys.argv[1]])"
    )
    command = [sys.executable, "-c", code, str(patients[0])]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (shown.returncode, shown.stdout) == (2, "")
    command = r"pip install 'fastapi>=[\d.]+' 'uvicorn>=[\d.]+'"
    line = f"automl: serving needs the package fastapi; install it with: {command}\n"
    assert re.fullmatch(line, shown.stderr)


def test_ctrl_c_ends_it_cleanly(patients):
    command = [sys.executable, "-m", "automl", "serve", str(patients[0]), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split("POST ")[1].split("/predict")[0]
        assert ask(url, [GOOD])[0] == 200
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stderr.read()) == (0, "")


def test_it_ends_without_a_trace_while_a_request_arrives(patients):
    command = [sys.executable, "-m", "automl", "serve", str(patients[0]), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        host, port = process.stdout.readline().split("POST http://")[1].split("/predict")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = f"POST /predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            connection.sendall(head.encode() + b"Content-Length: 100\r\n\r\n{")
            assert ask(f"http://{host}:{port}", [GOOD])[0] == 200  # by then, the other one is being read
            process.terminate()
            assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


def test_ctrl_c_ends_it_while_a_prediction_is_computed(patients):
    code = (
        "import sys, time; from automl.deployment.http_service import Service\n"
        "def work(self, body): print('begun', flush=True); time.sleep(300)\n"
        "Service._work = work\n"
        "from automl.cli import run_command; run_command('serve', [sys.argv[1], '--port', '0'])"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(patients[0])], **pipes) as process:
        try:
            host = process.stdout.readline().split("POST http://")[1].split("/predict")[0]
            sender = http.client.HTTPConnection(host, timeout=60)
            sender.request("POST", "/predict", json.dumps({"examples": [GOOD]}), {"Content-Type": "application/json"})
            assert process.stdout.readline() == "begun\n"
            deadline = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < deadline:
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            assert process.poll() == -signal.SIGINT
        finally:
            process.kill()
            sender.close()


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_browser_sees_a_page_that_loads_nothing_from_elsewhere(command):
    for path in ("/", "/docs"):
        with urllib.request.urlopen(command + path, timeout=60) as answer:
            text = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("text/html")
        assert f"curl -X POST {command}/predict" in text
        assert "Predicts <b>outcome</b>" in text
        assert not re.search(r"(src|href)=.https?:", text)


def test_names_of_a_model_are_escaped_on_the_page():
    shown = page("<script>t</script>", "<b>x</b>", 'http://"><i>/', {"a": "</pre><script>"}, "<u>", has_token=False)
    assert not re.search(r"<script|<b>x|<i>|<u>", shown)
    assert "&lt;script&gt;t&lt;/script&gt;" in shown


def test_the_metrics_count_requests_and_examples(patients):
    with served(automl.load(patients[0])) as url:
        assert ask(url, [GOOD, GOOD])[0] == 200
        assert ask(url, [3])[0] == 422
        assert ask(url, path="/health")[0] == 200
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(url + "/a/path/of/its/own", timeout=60)
        missing.value.close()
        found = metrics(url)
    assert found["automl_serve_examples_total{}"] == 2
    assert found["automl_serve_waiting{}"] == 0
    assert found["automl_serve_values_as_missing_total{'column': 'clinic'}"] == 2
    assert found["automl_serve_model_info{'name': 'patients-outcome', 'version': '1'}"] == 1
    for path, status in (("/predict", "200"), ("/predict", "422"), ("/health", "200"), ("other", "404")):
        assert found[f"automl_serve_requests_total{ {'path': path, 'status': status} }"] == 1
    assert found["automl_serve_seconds_count{'path': '/predict'}"] == 2
    assert 0 < found["automl_serve_seconds_sum{'path': '/predict'}"] < 60


def test_more_slow_connections_than_are_allowed_do_not_take_the_service_down(command):
    host, port = command.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS + 100):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            with suppress(ConnectionError):  # the oldest are dropped
                slow.sendall(b"POST /predict HTTP/1.1\r\nHost: ")
        assert ask(command, [GOOD])[0] == 200


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_head_that_does_not_arrive_in_time_ends_the_connection(patients, monkeypatch, first):
    """Neither of the first request nor of the next."""
    monkeypatch.setattr(http_limits, "HEAD_SECONDS", 0.3)
    with served(automl.load(patients[0])) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(first)
            if first.endswith(b"\r\n\r\n"):
                assert slow.recv(65_536).startswith(b"HTTP/1.1 200 OK")
                slow.sendall(b"GET /hea")
            start = time.monotonic()
            with suppress(ConnectionError):
                while slow.recv(65_536):
                    pass
            assert time.monotonic() - start < 4  # before the keep-alive's end


BODY_TO_COME = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)


@pytest.mark.parametrize("token", [None, "s3cret-and-long-enough"])
def test_more_slow_bodies_than_connections_are_allowed_do_not_take_the_service_down(patients, monkeypatch, token):
    """Neither before they are refused, nor after that."""
    monkeypatch.setattr(http_limits, "MAX_CONNECTIONS", 20)
    with served(automl.load(patients[0]), token=token) as url, ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")
        for _ in range(30):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            with suppress(ConnectionError):  # the oldest are dropped
                slow.sendall(BODY_TO_COME)
                if token is not None:
                    assert slow.recv(65_536).startswith(b"HTTP/1.1 401 ")
                    slow.sendall(b" ")
        time.sleep(0.3)  # until all of that has arrived
        own = urllib.request.Request(url + "/health", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(own, timeout=60) as answer:
            assert answer.status == 200


def test_a_body_that_goes_on_slowly_after_it_was_refused_ends_the_connection(patients, monkeypatch):
    monkeypatch.setattr(http_limits, "HEAD_SECONDS", 0.3)
    with served(automl.load(patients[0]), token="s3cret-and-long-enough") as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=0.05) as slow:
            slow.sendall(BODY_TO_COME)
            for _ in range(80):
                try:
                    slow.sendall(b" ")
                    if not slow.recv(65_536):
                        return
                except TimeoutError:
                    continue
                except ConnectionError:
                    return
        pytest.fail("it is still open after 80 bytes")


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize(("seconds", "is_whole"), [(0.4, False), (60.0, True)], ids=["in vain", "slowly"])
def test_an_answer_that_is_not_read_in_time_ends_the_connection(connection, seconds, is_whole, monkeypatch):
    monkeypatch.setattr(http_limits, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http_limits, "READ_SECONDS", seconds)
    size = 30_000_000  # more than the kernel buffers

    async def app(scope, receive, send):
        await Response(bytes(size))(scope, receive, send)

    with running(app) as url, socket.socket() as slow:
        host, port = url.removeprefix("http://").split(":")
        slow.settimeout(60)
        slow.connect((host, int(port)))
        slow.sendall(f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n".encode())
        time.sleep(1.5)
        n = 0
        with suppress(ConnectionError):
            while n < size and (part := slow.recv(1_000_000)):
                n += len(part)
    assert (n >= size) == is_whole


def test_a_head_that_is_too_large_is_refused(patients):
    with served(automl.load(patients[0])) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES + 1))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_requests_cannot_fill_the_log(caplog, monkeypatch):
    log = logging.getLogger("test of the limit")
    log.addFilter(RateLimit())
    for _ in range(1_000):
        log.warning("Invalid HTTP request received.")
    assert len(caplog.records) == http_limits.MESSAGES
    monkeypatch.setattr(http_limits, "SECONDS", 0.0)
    log.warning("later")
    assert caplog.messages[-1] == "later (980 earlier messages were left out)"


def test_a_token_is_asked_for(patients):
    with served(automl.load(patients[0]), token="s3cret-and-long-enough") as url:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "s3cret-and-long-enough"}):
            for path in ("/health", "/", "/openapi.json", "/predict", "/metrics"):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=60)
                assert refused.value.code == 401
                assert refused.value.headers["WWW-Authenticate"] == "Bearer"
                refused.value.close()
        right = urllib.request.Request(url + "/health", headers={"Authorization": "Bearer s3cret-and-long-enough"})
        with urllib.request.urlopen(right, timeout=60) as answer:
            assert answer.status == 200


def test_a_page_under_a_name_that_resolves_to_this_machine_gets_no_answer(patients):
    """As with DNS rebinding: to the browser, the page and the service have the same origin."""
    with served(automl.load(patients[0])) as url:
        port = url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "LOCALHOST:1", f"[::1]:{port}"):
            asked = urllib.request.Request(f"{url}/health", headers={"Host": host})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert answer.status == 200
        for host in ("rebound.example", f"rebound.example:{port}", f"127.0.0.1.example:{port}", ""):
            for path in ("/health", "/", "/openapi.json", "/predict", "/metrics"):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(urllib.request.Request(url + path, headers={"Host": host}), timeout=60)
                assert refused.value.code == 403
                refused.value.close()


def test_beyond_this_machine_there_is_always_a_token(patients, tmp_path):
    command = [sys.executable, "-m", "automl", "serve", str(patients[0]), "--port", "0", "--host", "0.0.0.0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split("POST ")[1].split("/predict")[0]
        token = process.stdout.readline().removeprefix("requests need the header Authorization: Bearer ").strip()
        url = address.replace("0.0.0.0", "127.0.0.1")
        assert not listens_on_loopback_alone(int(url.rpartition(":")[2]))
        assert ask(url, [GOOD])[0] == 401
        request = urllib.request.Request(f"{url}/health", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
        process.terminate()
        assert (process.wait(60), process.stderr.read()) == (0, "")
    (tmp_path / "token").write_text("short\n")
    shown = subprocess.run([*command, "--token-file", str(tmp_path / "token")], capture_output=True, text=True)
    assert shown.returncode == 2
    assert "must have 16 characters or more" in shown.stderr


# --- every kind of example --------------------------------------------------------------------------------------------


def test_texts_and_smiles(tmp_path):
    small_models.texts(tmp_path / "texts")
    predictor = automl.load(small_models.trained(tmp_path / "texts", "linear", epochs=1))
    with served(predictor) as url:
        texts = ["a superb film", "an awful film, \N{SNOWMAN}", ""]
        status, answer = ask(url, [texts[0], {"body": texts[1]}, texts[2]])
        assert (status, answer["predictions"]) == (200, predictor.predict(texts).tolist())
        for wrong, reason in (
            ([None], "example 1 must be a string, got null"),
            (["a", 5], "example 2 must be a string, got 5"),
            ([{"text": "a"}], "example 1 must be a string, got null"),
            (["\ud800"], "example 1 contains a lone surrogate"),
        ):
            assert ask(url, wrong)[0] == 422
            assert reason in ask(url, wrong)[1]["detail"]
    small_models.molecules(tmp_path / "molecules")
    predictor = automl.load(small_models.trained(tmp_path / "molecules", "random_forest", epochs=1))
    with served(predictor) as url:
        assert ask(url, ["CCO", "c1ccccc1C"]) == (
            200,
            {"predictions": predictor.predict(["CCO", "c1ccccc1C"]).tolist()},
        )
        assert ask(url, ["C", "hello"]) == (422, {"detail": "row 2 is not valid SMILES: 'hello'"})


def test_sentences_are_translated(tmp_path):
    frame = small_models.pairs(tmp_path / "run")
    predictor = automl.load(small_models.trained(tmp_path / "run", "rnn", epochs=3))
    sentences = frame["en"].head(10).tolist()
    with served(predictor) as url:
        answer = ask(url, [*sentences[:9], {"en": sentences[9]}])
        assert answer == (200, {"predictions": predictor.predict(sentences).tolist()})
        assert ask(url, [["a"]]) == (422, {"detail": "example 1 must be a string, got a list"})


def test_pictures_come_as_bytes_and_no_path_is_opened(tmp_path):
    photos = small_models.pictures(tmp_path / "run")
    predictor = automl.load(small_models.trained(tmp_path / "run", "cnn"))
    files = sorted((photos / "seven").iterdir())[:5]
    sent = [base64.b64encode(file.read_bytes()).decode() for file in files]
    whole = base64.b64decode(sent[0])
    huge = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(huge, "PNG")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    with served(predictor) as url:
        status, answer = ask(url, sent)
        assert (status, answer["predictions"]) == (200, predictor.predict(files).tolist())
        for wrong, reason in (
            (str(files[0]), "example 1 must be an image file in base64, got '/"),
            ("abcd", "example 1 is not a readable image; send one of: PNG"),
            (base64.b64encode(whole[:60]).decode(), "is not a readable image"),
            (base64.b64encode(script).decode(), "example 1 is not a readable image"),
            (base64.b64encode(huge.getvalue()).decode(), "example 1 has 10,000 x 6,000 pixels; send at most"),
            (3, "example 1 must be a string, got 3"),
        ):
            status, answer = ask(url, [wrong])
            assert (status, reason in answer["detail"]) == (422, True), answer
        # A path that happens to be base64 is bytes as well.
        (tmp_path / "abcd").write_bytes(whole)
        assert ask(url, ["abcd"])[0] == 422


def test_sequences(tmp_path):
    sequences = small_models.waves(tmp_path / "run", ragged=True)
    predictor = automl.load(small_models.trained(tmp_path / "run", "rnn"))
    with served(predictor) as url:
        status, answer = ask(url, [sequence.tolist() for sequence in sequences])
        assert (status, answer["predictions"]) == (200, predictor.predict(sequences).tolist())
        assert ask(url, [[[1, None, 3], [1, 2, 3]]])[1] == ask(url, [[[1, 2, 3], [1, 2, 3]]])[1]
        for wrong, reason in (
            ([1, 2], "example 1 must be a list of channels, each a list of numbers, got a list"),
            ([[1, 2]], "example 1 must have 2 channels of equal length, got 1 with 2 steps"),
            ([[1], [1, 2]], "example 1 must have 2 channels of equal length, got 2 with 1, 2 steps"),
            ([[], []], "example 1 must have 2 channels of equal length, got 2 with 0 steps"),
            ([[1], ["x"]], "example 1 must be a number or null, got 'x'"),
        ):
            assert ask(url, [wrong]) == (422, {"detail": reason})


def sales_of_two_targets(folder):
    """A series, and a predictor of each of its two columns."""
    frame = small_models.sales(folder / "volume")
    (folder / "price").mkdir()
    file = str(folder / "volume" / "sales.csv")
    prepare(Request(file, "price", time="date", horizon=2), folder / "price" / "data")
    parts = {name: automl.load(small_models.trained(folder / name, "linear", epochs=1)) for name in ("volume", "price")}
    return frame, parts


def test_several_targets_of_a_series_have_the_moments_once(tmp_path):
    frame, parts = sales_of_two_targets(tmp_path)
    newest = frame.tail(parts["price"].encoder.reach + 2)
    with served(JointPredictor(parts, {})) as url:
        status, answer = ask(url, small_models.as_json(newest))
    own = zip(*(part.predict(newest).tolist() for part in parts.values()), strict=True)
    assert (status, answer["predictions"]) == (200, [dict(zip(parts, row, strict=True)) for row in own])
    assert [each["time"][:10] for each in answer["of"]] == frame["date"].tail(3).tolist()


def test_targets_that_are_missing_at_different_moments_are_predicted_for_the_moments_of_all(tmp_path):
    frame, parts = sales_of_two_targets(tmp_path)
    newest = frame.tail(parts["price"].encoder.reach + 4).reset_index(drop=True)
    for name, steps_back in (("volume", 2), ("price", 1)):
        newest.loc[len(newest) - steps_back, name] = np.nan
    found = JointJsonPredictions(JointPredictor(parts, {})).response(small_models.as_json(newest))
    times = [each["time"][:10] for each in found["of"]]
    assert times == newest["date"].iloc[-5:-2].tolist()
    for name, part in parts.items():
        alone = part.predict(newest)
        assert [each[name] for each in found["predictions"]] == pytest.approx(alone[: len(times)])


def test_an_example_has_the_columns_that_any_of_the_targets_needs(tmp_path):
    frame = small_models.table(tmp_path / "all", classes=False)
    (tmp_path / "some").mkdir()
    request = Request(str(tmp_path / "all" / "patients.csv"), "outcome", others=["a"])
    prepare(request, tmp_path / "some" / "data")
    parts = {name: automl.load(small_models.trained(tmp_path / name, "linear", epochs=1)) for name in ("some", "all")}
    predictions = JointJsonPredictions(JointPredictor(parts, {}))
    assert sorted(predictions.record_schema["required"]) == ["a", "admitted", "b", "c", "clinic", "d"]
    assert "a" not in JsonPredictions(parts["some"]).record_schema["properties"]
    rows = small_models.as_json(frame.head(3).drop(columns="outcome"))
    assert [list(each) for each in predictions.response(rows)["predictions"]] == [["some", "all"]] * 3
    with pytest.raises(UserError, match="example 1 lacks 'a', an input of the model"):
        predictions.response([{name: value for name, value in rows[0].items() if name != "a"}])


def test_a_series_is_answered_moment_by_moment(tmp_path):
    frame = small_models.sales(tmp_path / "run")
    predictor = automl.load(small_models.trained(tmp_path / "run", "linear", epochs=1))
    window = predictor.encoder.reach
    newest = frame.tail(window + 2)
    assert f"the first {window - 1} steps of a series have no forecast" in predictor.about_predictions
    with served(predictor) as url:
        status, answer = ask(url, small_models.as_json(newest))
        assert (status, answer["predictions"]) == (200, predictor.predict(newest).tolist())
        assert [each["time"][:10] for each in answer["of"]] == frame["date"].tail(3).tolist()
        _, schema = ask(url, path="/openapi.json")
        with urllib.request.urlopen(url + "/", timeout=60) as shown:
            for text in (schema["paths"]["/predict"]["post"]["description"], shown.read().decode()):
                assert f"the first {window - 1} steps of a series have no forecast" in text
        for wrong, reason in (
            ({"date": None}, "'date' must be a string, got null"),
            ({"volume": "x"}, "'volume' must be a number or null"),
            ({"date": "soon"}, "the time column 'date' must have a date as ISO 8601 in every row"),
        ):
            rows = [small_models.as_json(newest)[0] | wrong, *small_models.as_json(newest)[1:]]
            status, answer = ask(url, rows)
            assert (status, reason in answer["detail"]) == (422, True), answer
        status, answer = ask(url, small_models.as_json(newest.head(2)))
        assert (status, answer["detail"]) == (422, f"a forecast needs the last {window} rows or more, got 2")


def test_arrays_of_built_in_tasks_are_nested_lists(tmp_path):
    from automl.data.datasets.registry import load_data
    from automl.models import build_for
    from automl.models.tensor_models import TrainedNetwork
    from automl.models.trained import Preprocessing

    splits = load_data("digits", None)
    rules = Preprocessing("digits", "mlp", splits.inputs, splits.target)
    config = {"width": 16, "layers": 1, "dropout": 0.0}
    TrainedNetwork(build_for(rules.inputs, "mlp", config, rules.target), config, rules).save(tmp_path / "model")
    predictor = automl.load(tmp_path / "model")
    x = splits.x_test[:20]
    with served(predictor) as url:
        status, answer = ask(url, x.tolist())
        assert (status, answer["predictions"]) == (200, predictor.predict(x).tolist())
        assert ask(url, [[1]]) == (
            422,
            {"detail": "example 1[0] must be a list of 8, since the model's inputs are (8, 8), got 1"},
        )
        wrong = x[:1].tolist()
        wrong[0][0][2][5] = None
        assert ask(url, wrong) == (422, {"detail": "example 1[0][2][5] must be a number, got null"})


def test_numbers_that_a_network_would_look_up_are_checked():
    from automl.deployment.json_predictions import _array
    from automl.errors import UserError

    assert _array([[1, 4, 0]], Tokens(3, 5)).tolist() == [[1, 4, 0]]
    assert np.isnan(_array([[[1, None]]], Padded((1, 2), (0.0,), (1.0,)))[0, 0, 1])
    columns = Columns((0.0,), (1.0,), (3,), (True,))
    assert _array([[None, 2]], columns)[0, 1] == 2
    for records, inputs in (([[1, 5, 0]], Tokens(3, 5)), ([[1, 0.5, 0]], Tokens(3, 5)), ([[1, 3]], columns)):
        with pytest.raises(UserError, match="must have an integer from 0 to"):
            _array(records, inputs)


# --- what takes long, and what fails ----------------------------------------------------------------------------------


class Waiting(Predictor):
    """Answers once it is told to."""

    def __init__(self, predictor):
        super().__init__(predictor.members, predictor.encoder, predictor.card)
        self.begun, self.go, self.n = threading.Event(), threading.Event(), 0

    def of_frame(self, frame):
        self.n += 1
        self.begun.set()
        assert self.go.wait(60)
        return super().of_frame(frame)


def test_health_answers_while_a_prediction_is_computed(patients):
    slow = Waiting(automl.load(patients[0]))
    with served(slow) as url, ThreadPoolExecutor(1) as client:
        asked = client.submit(ask, url, [GOOD])
        assert slow.begun.wait(60)
        assert ask(url, path="/health")[1]["status"] == "ok"
        assert not asked.done()
        slow.go.set()
        assert asked.result()[0] == 200


def test_what_takes_too_long_and_what_waits_behind_it_are_reported_and_not_kept(patients, monkeypatch):
    threads = []
    monkeypatch.setattr(
        "automl.deployment.http_service.ThreadPoolExecutor",
        lambda *arguments: threads.append(ThreadPoolExecutor(*arguments)) or threads[-1],
    )
    slow = Waiting(automl.load(patients[0]))
    with served(slow, Limits(10, 1_000, 2.0)) as url:
        with ThreadPoolExecutor(3) as clients:
            answers = list(clients.map(lambda _: ask(url, [GOOD]), range(3)))
        assert answers == [(503, {"detail": "no prediction within 2 seconds; send fewer examples at a time"})] * 3
        assert threads[0]._work_queue.qsize() == 0
        slow.go.set()
        assert ask(url, [GOOD])[0] == 200
    assert slow.n == 2


def test_a_request_whose_client_has_left_is_not_computed(patients):
    slow = Waiting(automl.load(patients[0]))
    with served(slow) as url, ThreadPoolExecutor(1) as client:
        first = client.submit(ask, url, [GOOD])
        assert slow.begun.wait(60)
        leaving = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        leaving.request("POST", "/predict", json.dumps({"examples": [GOOD]}), {"Content-Type": "application/json"})
        while metrics(url)["automl_serve_waiting{}"] < 2:
            time.sleep(0.01)
        leaving.close()
        assert ask(url, path="/health")[0] == 200
        slow.go.set()
        assert first.result()[0] == 200
        assert ask(url, [GOOD])[0] == 200
    assert slow.n == 2


def test_who_comes_when_many_wait_is_told_at_once(patients, monkeypatch):
    monkeypatch.setattr("automl.deployment.http_service.MAX_WAITING", 1)
    slow = Waiting(automl.load(patients[0]))
    with served(slow) as url, ThreadPoolExecutor(1) as client:
        first = client.submit(ask, url, [GOOD])
        assert slow.begun.wait(60)
        assert ask(url, [GOOD]) == (503, {"detail": "1 requests are waiting already; retry later"})
        slow.go.set()
        assert first.result()[0] == 200


def test_a_bug_is_told_without_its_trace(patients, monkeypatch, caplog):
    predictor = automl.load(patients[0])
    monkeypatch.setattr(predictor, "of_frame", lambda frame: 1 / 0)
    with served(predictor) as url:
        status, answer = ask(url, [GOOD])
    assert (status, answer) == (500, {"detail": "the model failed on these examples; see the server's log"})
    assert "ZeroDivisionError" in caplog.text
