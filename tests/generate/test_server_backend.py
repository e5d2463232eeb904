"""The client of a served model, against a stub that speaks the protocol and fails in every way that a server can."""

import base64
import io
import json
import logging
import socket
import threading
from email.utils import formatdate
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
from served_model import FIRST_AUDIO_ID, N_CODES, STOP_ID, build_served_model

from covoguard.core.errors import InputError, IntegrityError, KeyMissing, ModelMissing, UsageError
from covoguard.core.generatorsettings import GeneratorSettings
from covoguard.core.modelcard import open_model
from covoguard.core.protocols import BatchGenerator, SpeechRequest
from covoguard.core.records import Audio, Clip, Prompt, Turn
from covoguard.generate.backends.server import ServerGenerator
from covoguard.generate.registry import GENERATORS
from covoguard.generate.serving.connection import API_KEY_VARIABLE, Limits, ServerAddress, retry_after_s
from covoguard.generate.serving.errors import ServerError
from covoguard.generate.serving.mark_request import RemoteMark
from covoguard.generate.serving.self_test import check_server_marks

MARK = RemoteMark("gumbel-slot-2-payload", "k0123456789", 1, (3, 17, 20_000))
QUICK = Limits(timeout_s=10.0, attempts=4, backoff_s=0.001, max_wait_s=0.01)
SECRET = "the-api-key-of-the-tests"


def codes_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, N_CODES, 5 + seed % 7)


def wav(n_samples: int, rate_hz: int = 24_000, channels: int = 1) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full((n_samples, channels), 0.25, np.float32), rate_hz, format="WAV", subtype="FLOAT")
    return base64.b64encode(buffer.getvalue()).decode()


def completion(body: dict, *, ids=None, data=None, missing_samples: int = 0) -> dict:
    """Two choices, as vLLM-Omni gives them: the text with its token ids, and the sound."""
    codes = codes_of(body["sampling_params_list"][0]["seed"])
    if ids is None:
        ids = [1, 2, *(FIRST_AUDIO_ID + codes).tolist(), 3, STOP_ID]
    sound = {"data": data or wav(960 * len(codes) - missing_samples), "id": "audio-1", "transcript": ""}
    text = {"index": 0, "message": {"content": "Well.", "audio": None}, "token_ids": ids, "finish_reason": "stop"}
    return {"choices": [text, {"index": 0, "message": {"content": None, "audio": sound}, "finish_reason": "stop"}]}


class StubServer(ThreadingHTTPServer):
    """Answers each prompt as `plans[text]` says, one entry per try, and as it should once they are used up."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.plans: dict[str, list] = {}
        self.lock = threading.Lock()
        self.asked: list[dict] = []
        self.headers: list = []
        self.in_flight = self.most_in_flight = 0
        self.hold = threading.Event()
        self.models = ["tiny"]
        self.meeting: threading.Barrier | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def texts(self) -> list[str]:
        return [body["messages"][1]["content"][-1]["text"] for body in self.asked]

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


class StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counted = False

    def do_GET(self):
        assert self.path == "/v1/models"
        self.give({"object": "list", "data": [{"id": name} for name in self.server.models]})

    def do_POST(self):
        assert self.path == "/v1/chat/completions"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append(body)
            server.headers.append(dict(self.headers))
            self.counted = True
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
            plan = server.plans.get(body["messages"][1]["content"][-1].get("text", ""), [])
            behaviour = plan.pop(0) if plan else None
        try:
            if server.meeting is not None:
                server.meeting.wait(10)
            if behaviour is None:
                self.give(completion(body))
            else:
                behaviour(self, body)
        finally:
            self.leave()

    def leave(self):
        """Count the request as answered, before its client can know that it is."""
        with self.server.lock:
            self.server.in_flight -= self.counted
            self.counted = False

    def give(self, content, status=200, kind="application/json", declared=None, **headers):
        self.leave()
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(declared or len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


def status(code, message="", **headers):
    return lambda handler, body: handler.give({"error": {"message": message, "code": code}}, code, **headers)


def answer(make):
    return lambda handler, body: handler.give(make(body))


def page(handler, body):
    handler.give(b"<html>It works!</html>", kind="text/html")


def drop(handler, body):
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_short(handler, body):
    raw = json.dumps(completion(body)).encode()
    handler.give(raw[: len(raw) // 2], declared=len(raw))
    handler.connection.shutdown(socket.SHUT_RDWR)


def held(handler, body):
    handler.server.hold.wait(20)
    handler.give(completion(body))


@pytest.fixture
def stub():
    server = StubServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return open_model(build_served_model(tmp_path_factory.mktemp("served") / "model", levels=2))


@pytest.fixture
def make(stub, folder):
    def made(limits=QUICK, **settings):
        return ServerGenerator(folder, stub.url, GeneratorSettings(**settings), limits)

    return made


def requests(*texts, mark=None):
    return [SpeechRequest(Prompt(text=text), mark, seed) for seed, text in enumerate(texts)]


def assert_clip(clip, seed):
    assert isinstance(clip, Clip), clip
    assert clip.tokens.ids.tolist() == codes_of(seed).tolist()
    assert len(clip.audio.samples) == 960 * len(clip.tokens.ids)


# --- what is asked and what comes back ---------------------------------------------------------------------


def test_a_clip_comes_back_with_tokens_sound_text_and_recipe(stub, make, folder):
    generator = make()
    assert isinstance(generator, BatchGenerator)
    clip = generator.generate(Prompt(text="hello"), mark=MARK, seed=5)
    assert_clip(clip, 5)
    assert clip.audio.rate_hz == 24_000
    assert (clip.tokens.rate_hz, clip.tokens.codebook_size) == (25, N_CODES)
    assert clip.replies[0].text == "Well."
    assert (clip.recipe.mark_scheme, clip.recipe.key_id, clip.recipe.seed) == (MARK.scheme, MARK.key_id, 5)
    assert clip.recipe.model_sha256 == folder.model_sha256
    assert ("served_model", "tiny") in clip.recipe.sampling


def test_the_request_names_the_key_and_sets_every_default_that_matters(stub, make):
    make(temperature=0.8, top_k=0, top_p=0.95, max_seconds=3.0, system_text="Speak.").generate(
        Prompt(text="hello"), mark=MARK, seed=5
    )
    (body,) = stub.asked
    language, decoder = body["sampling_params_list"]
    assert language["extra_args"] == {
        "covoguard_key_id": MARK.key_id,
        "covoguard_epoch": 1,
        "covoguard_seed": 5,
        "covoguard_payload": [3, 17, 20_000],
    }
    assert language["seed"] == 5
    assert (language["temperature"], language["top_k"], language["top_p"]) == (0.8, -1, 0.95)
    assert (language["max_tokens"], language["stop_token_ids"], language["ignore_eos"]) == (100, [STOP_ID], True)
    assert body["return_token_ids"] is True
    assert body["messages"][0] == {"role": "system", "content": "Speak."}
    assert "extra_args" not in decoder


def test_without_a_key_nothing_of_ours_is_in_the_request(stub, make):
    make().generate(Prompt(text="hello"), mark=None, seed=5)
    assert stub.asked[0]["sampling_params_list"][0]["extra_args"] == {}
    assert "covoguard" not in json.dumps(stub.asked)


def test_a_spoken_prompt_is_sent_as_a_wav(stub, make):
    sound = Audio(np.linspace(-0.5, 0.5, 1600, dtype=np.float32), 16_000)
    stub.plans[""] = []
    make().generate(Prompt(audio=sound), mark=None, seed=1)
    (part,) = stub.asked[0]["messages"][1]["content"]
    head, data = part["audio_url"]["url"].split(",")
    assert head == "data:audio/wav;base64"
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
    assert rate_hz == 16_000
    np.testing.assert_allclose(samples, sound.samples, atol=1e-4)


def test_the_frames_that_the_reference_decoder_cuts_are_put_back_as_silence(stub, make):
    stub.plans["short"] = [answer(lambda body: completion(body, missing_samples=720))]
    clip = make().generate(Prompt(text="short"), mark=None, seed=2)
    assert_clip(clip, 2)
    assert not clip.audio.samples[:720].any()
    assert clip.audio.samples[720:].all()


def test_the_registry_has_it_and_the_card_may_name_the_url(stub, tmp_path):
    path = build_served_model(tmp_path / "model", url=stub.url + "/v1/")
    generator = GENERATORS.get("server").load(path)
    assert str(generator.address) == stub.url
    assert_clip(generator.generate(Prompt(text="hello"), mark=None, seed=1), 1)


def test_the_only_model_of_a_server_needs_no_name(stub, tmp_path):
    stub.models = ["anything"]
    generator = ServerGenerator(open_model(build_served_model(tmp_path / "model", name=None)), stub.url)
    generator.generate(Prompt(text="hello"), mark=None, seed=1)
    assert stub.asked[0]["model"] == "anything"


# --- many at once ------------------------------------------------------------------------------------------


def test_results_come_in_order_each_once_and_no_more_are_in_flight_than_allowed(stub, make):
    texts = [f"prompt {index}" for index in range(24)]
    stub.meeting = threading.Barrier(3)  # an answer comes only while three are under way
    outcomes = list(make(batch=3).generate_many(requests(*texts)))
    for seed, clip in enumerate(outcomes):
        assert_clip(clip, seed)
    assert len(outcomes) == len(stub.asked) == 24
    assert stub.most_in_flight == 3
    assert sorted(stub.texts()) == sorted(texts)


def test_requests_are_taken_only_as_there_is_room(stub, make):
    taken = []

    def endless():
        for seed in range(10**6):
            taken.append(seed)
            yield SpeechRequest(Prompt(text="go"), None, seed)

    outcomes = make(batch=2).generate_many(endless())
    for seed in range(3):
        assert_clip(next(outcomes), seed)
    assert len(taken) <= 3 + 2 * 4
    outcomes.close()


def test_one_bad_request_costs_its_neighbours_nothing(stub, make):
    stub.plans = {"too long": [status(400, "prompt is longer than the model")], "mute": [answer(mute)]}
    sent = [*requests("a", "too long", "mute", "d"), SpeechRequest(Prompt(), None, 4)]
    first, refused, silent, last, empty = make(batch=2).generate_many(sent)
    assert_clip(first, 0)
    assert_clip(last, 3)
    assert "prompt is longer than the model" in str(refused)
    assert "without speech" in str(silent)
    assert "neither text nor sound" in str(empty)


def test_leaving_early_ends_what_is_under_way(stub, make):
    stub.plans["stuck"] = [held] * 3
    outcomes = make(batch=3).generate_many(requests("fine", "stuck", "stuck"))
    assert_clip(next(outcomes), 0)
    outcomes.close()  # would wait for the held ones, were they not ended
    assert not stub.hold.is_set()


def mute(body):
    return completion(body, ids=[1, 2, STOP_ID])


# --- failures that pass ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviours",
    [
        [status(503, "starting")],
        [status(429, "busy", Retry_After="0"), status(500, "oh"), status(502)],
        [drop],
        [cut_short],
        [drop, cut_short, status(503, Retry_After="3600")],
    ],
    ids=["503", "429 500 502", "dropped", "cut short", "mixed"],
)
def test_what_passes_is_tried_again_and_no_job_is_lost_or_doubled(stub, make, behaviours):
    tries = len(behaviours) + 1
    stub.plans["bumpy"] = list(behaviours)
    outcomes = list(make(batch=2).generate_many(requests("a", "bumpy", "c")))
    for seed, clip in enumerate(outcomes):
        assert_clip(clip, seed)
    assert len(outcomes) == 3
    assert stub.texts().count("bumpy") == tries


def test_the_wait_that_a_server_asks_for_is_read():
    headers = HTTPMessage()
    assert retry_after_s(headers) == 0
    headers["Retry-After"] = "7"
    assert retry_after_s(headers) == 7
    headers.replace_header("Retry-After", formatdate(4_000_000_000, usegmt=True))
    assert retry_after_s(headers) > 1e6
    headers.replace_header("Retry-After", "soon")
    assert retry_after_s(headers) == 0


# --- failures that stay ------------------------------------------------------------------------------------


def failing(make, error, message, behaviour, stub, limits=QUICK, mark=None):
    stub.plans["x"] = [behaviour] * 9
    with pytest.raises(error, match=message):
        make(limits).generate(Prompt(text="x"), mark=mark, seed=3)


@pytest.mark.parametrize(
    ("behaviour", "error", "message"),
    [
        (status(503, "no GPU"), ServerError, "HTTP 503 no GPU, 4 times; .*what is made is kept"),
        (drop, ServerError, "connection failed|broke off"),
        (cut_short, ServerError, "the answer broke off, 4 times"),
        (page, ServerError, "text/html that is not JSON; is a vLLM server there"),
        (lambda handler, body: handler.give(b'{"choices": ['), ServerError, "not JSON"),
        (answer(lambda body: ["no"]), ServerError, "no chat completion"),
        (answer(lambda body: {"choices": "no"}), ServerError, "no chat completion"),
        (status(404, "no such model"), ServerError, "HTTP 404 no such model"),
        (status(401, "who are you"), ServerError, API_KEY_VARIABLE),
        (status(307, Location="http://127.0.0.1:1/"), ServerError, "HTTP 307"),
        (status(400, "too many tokens"), InputError, "too many tokens"),
        (answer(lambda body: {"error": {"message": "in the body", "code": 400}}), InputError, "in the body"),
        (answer(lambda body: {"error": {"message": "engine died", "code": 500}}), ServerError, "engine died"),
        (answer(mute), InputError, "without speech"),
        (answer(lambda body: completion(body, data="%%%")), InputError, "not base64"),
        (answer(lambda body: completion(body, data="AAAA")), InputError, "cannot be decoded"),
        (answer(lambda body: completion(body, data=wav(960))), InputError, "not of the same reply"),
        (answer(lambda body: completion(body, data=wav(960, 16_000))), InputError, "1 channels at 16000 Hz"),
        (answer(lambda body: completion(body, data=wav(960, channels=2))), InputError, "2 channels"),
        (answer(lambda body: completion(body, ids=[FIRST_AUDIO_ID + N_CODES])), ServerError, "another model"),
        (answer(lambda body: completion(body, ids=["a"])), ServerError, "not whole numbers"),
    ],
)
def test_every_failure_has_its_message(stub, make, behaviour, error, message):
    failing(make, error, message, behaviour, stub)


def test_an_answer_without_token_ids_is_refused(stub, make):
    def without(body):
        whole = completion(body)
        del whole["choices"][0]["token_ids"]
        return whole

    failing(make, ServerError, "gives no token ids", answer(without), stub)


def test_an_answer_without_sound_is_refused(stub, make):
    failing(make, InputError, "without speech", answer(lambda body: {"choices": completion(body)["choices"][:1]}), stub)


def test_a_server_that_is_down(folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    generator = ServerGenerator(folder, f"http://127.0.0.1:{port}", limits=QUICK)
    with pytest.raises(ModelMissing, match="nothing listens there, 4 times"):
        generator.generate(Prompt(text="x"), mark=None, seed=1)


def test_a_server_that_never_answers(stub, make):
    limits = Limits(timeout_s=0.2, attempts=2, backoff_s=0.001)
    failing(make, ServerError, "no answer in time, 2 times", held, stub, limits)


def test_a_server_that_says_too_much(stub, make):
    limits = Limits(attempts=1, max_answer_bytes=2**20)
    much = answer(lambda body: completion(body, data="A" * 2**21))
    failing(make, ServerError, "more than 1 MiB", much, stub, limits)


def test_a_server_with_another_model(stub, make):
    stub.models = ["whisper", "tiny-2"]
    with pytest.raises(ServerError, match="runs whisper, tiny-2; this folder needs tiny"):
        make().generate(Prompt(text="x"), mark=None, seed=1)
    assert not stub.asked


def test_a_key_that_the_server_has_not_stops_everything(stub, make):
    refusal = status(400, "covoguard: this server has no key k0123456789; ask its operator")
    failing(make, KeyMissing, "refused the mark: this server has no key", refusal, stub, mark=MARK)


# --- what is refused on this side --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000", "not the address"),
        ("ftp://host", "not the address"),
        ("http://", "not the address"),
        ("http://host:99999", "not the address"),
        ("http://host/?x=1", "not the address"),
        ("http://me:hunter2@host", "user or password is not used"),
    ],
)
def test_wrong_urls(folder, url, message):
    with pytest.raises(UsageError, match=message) as caught:
        ServerGenerator(folder, url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://host/path/v1", "https://[::1]:8000", "http://localhost:8000/v1/"])
def test_a_url_is_understood_with_and_without_v1(url):
    assert str(ServerAddress.parse(url)) == url.rstrip("/").removesuffix("/v1")


@pytest.mark.parametrize(
    ("url", "warns"),
    [("http://10.0.0.3:8000", True), ("https://host", False), ("http://127.0.0.1:1", False), ("http://[::1]:1", False)],
)
def test_an_open_line_to_another_host_is_warned_of(url, warns, caplog):
    ServerAddress.parse(url)
    assert ("unencrypted" in caplog.text) is warns


def test_settings_and_prompts_that_cannot_be(stub, make, folder):
    for settings in ({"temperature": 0.0}, {"top_p": 0.0}, {"max_seconds": 0.0}, {"batch": 0}, {"device": "cuda"}):
        with pytest.raises(UsageError):
            make(**settings)
    with pytest.raises(UsageError, match="--url"):
        ServerGenerator(folder)
    generator = make()
    with pytest.raises(UsageError, match="no voice"):
        generator.generate(Prompt(text="x", voice="slt"), mark=None, seed=1)
    with pytest.raises(UsageError, match="one reply at a time"):
        generator.generate(Prompt(text="x", later=(Turn("y"),)), mark=None, seed=1)
    with pytest.raises(UsageError, match="seed"):
        generator.generate(Prompt(text="x"), mark=None, seed=-1)
    with pytest.raises(UsageError, match="put on by the server"):
        MARK.sample(np.ones((1, N_CODES), np.float32), 0)
    with pytest.raises(ModelMissing, match="--model"):
        ServerGenerator.load(None)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"first_audio_id": "5"}, "first_audio_id"), ({"stop_ids": []}, "stop_ids"), ({"url": 3}, "must be texts")],
)
def test_a_card_that_does_not_say_what_is_needed(tmp_path, change, message):
    folder = open_model(build_served_model(tmp_path / "model", **change))
    with pytest.raises(IntegrityError, match=message):
        ServerGenerator(folder, "http://127.0.0.1:1")


# --- the API key -------------------------------------------------------------------------------------------


def test_the_api_key_is_sent_and_never_shown(stub, make, monkeypatch, caplog):
    stub.plans["x"] = [status(503, f"bad key {SECRET}"), status(400, f"still bad {SECRET}")]
    monkeypatch.setenv(API_KEY_VARIABLE, SECRET)
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as caught:
        make().generate(Prompt(text="x"), mark=None, seed=1)
    assert {each["Authorization"] for each in stub.headers} == {f"Bearer {SECRET}"}
    assert SECRET not in str(caught.value) + caplog.text
    assert "still bad ***" in str(caught.value)


def test_an_api_key_that_no_header_can_hold_is_refused_unquoted(make, monkeypatch):
    monkeypatch.setenv(API_KEY_VARIABLE, f"{SECRET}\nX-Other: 1")
    with pytest.raises(UsageError, match="printable") as caught:
        make().generate(Prompt(text="x"), mark=None, seed=1)
    assert SECRET not in str(caught.value)


# --- the self-test -----------------------------------------------------------------------------------------


def test_a_server_that_marks_passes_the_self_test(stub, make):
    seen = []
    check_server_marks(make(), MARK, lambda clip: seen.append(clip) or True, seed=40)
    assert [clip.recipe.seed for clip in seen] == [40, 41, 42]
    assert all(body["sampling_params_list"][0]["extra_args"]["covoguard_key_id"] == MARK.key_id for body in stub.asked)


def test_one_clip_that_is_too_short_does_not_fail_it(make):
    verdicts = iter([None, True, None])
    check_server_marks(make(), MARK, lambda clip: next(verdicts), seed=1)


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [([True, False, True], "does not mark: of 3 clips .* 1 carry no mark"), ([None] * 3, "could not be told")],
)
def test_a_server_that_does_not_mark_is_refused(make, verdicts, message):
    said = iter(verdicts)
    with pytest.raises(IntegrityError, match=message):
        check_server_marks(make(), MARK, lambda clip: next(said), seed=1)
