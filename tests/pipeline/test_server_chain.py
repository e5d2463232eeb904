"""From prompt to verified clip through a server that marks: the client sends a key's id, the server has the key."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
from secret_leaks import assert_no_secret
from tone_generator import CODES, ToneGenerator, ToneRecoverer, build_tone_model

from covoguard.core.errors import IntegrityError
from covoguard.core.generatorsettings import GeneratorSettings
from covoguard.core.keyring import KeyRing
from covoguard.core.modelcard import seal_model
from covoguard.generate.prompts import PromptList
from covoguard.generate.serving.mark_request import MarkRequest
from covoguard.pipeline import mark_evidence
from covoguard.pipeline.clip_check import reading_back
from covoguard.pipeline.generate import GenerationPlan, load_generator, open_generation
from covoguard.pipeline.marking import table_of
from covoguard.pipeline.server_check import check_marks_of
from covoguard.pipeline.serving import RingMarks

FIRST_AUDIO_ID, STOP_ID, TOKENS = 100, 99, 300
TEXTS = PromptList.of_texts(["Say something long.", "And once more."])


class ToneServer(ThreadingHTTPServer):
    """Answers with tokens that are all equally likely, marked as its key ring says, as tones at 24 kHz."""

    daemon_threads = True
    marks: RingMarks | None = None
    asked: list[bytes]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.give({"data": [{"id": "tones"}]})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(raw)
        settings = json.loads(raw)["sampling_params_list"][0]
        wanted = MarkRequest.from_arguments(settings["extra_args"])
        codes = np.random.default_rng(settings["seed"]).integers(CODES, size=TOKENS)
        if wanted is not None and self.server.marks is not None:
            mark = self.server.marks.mark_for(wanted)
            probs = np.full((1, CODES), 1 / CODES, np.float32)
            codes = np.array([mark.sample(probs, t)[0] for t in range(TOKENS)])
        time_s = np.arange(960) / 24_000
        sound = np.concatenate([0.3 * np.sin(2 * np.pi * (500 + 100 * code) * time_s) for code in codes])
        file = io.BytesIO()
        soundfile.write(file, sound.astype(np.float32), 24_000, format="WAV", subtype="FLOAT")
        text = {"index": 0, "message": {"content": "Well."}, "token_ids": [*(FIRST_AUDIO_ID + codes).tolist(), STOP_ID]}
        audio = {"index": 0, "message": {"audio": {"data": base64.b64encode(file.getvalue()).decode()}}}
        self.give({"choices": [{**text, "finish_reason": "stop"}, {**audio, "finish_reason": "stop"}]})

    def give(self, content):
        raw = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What stays on the client's side: a recoverer's folder, with mark table and the part `serving`."""
    folder = tmp_path / "served"
    folder.mkdir()
    build_tone_model(folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    del card["generator"]
    card |= {"recoverer": "frames", "family": "tones"}
    card["serving"] = {"first_audio_id": FIRST_AUDIO_ID, "stop_ids": [STOP_ID], "name": "tones"}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    seal_model(folder)
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda path: ToneRecoverer(ToneGenerator.load(path).model))
    return folder


@pytest.fixture
def server():
    server = ToneServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys")


def records(generator, key, folder):
    with (
        reading_back(generator, key) as read_back,
        open_generation(folder, TEXTS, generator, GenerationPlan(seed=3), key=key, read_back=read_back) as run,
    ):
        return list(run.records())


def test_clips_of_a_marking_server_are_found_again_and_no_key_travels(server, folder, ring, tmp_path):
    key = ring.default_or_new()
    generator = load_generator("server", folder, GeneratorSettings(url=server.url))
    server.marks = RingMarks(ring, table_of(generator.model), range(FIRST_AUDIO_ID, FIRST_AUDIO_ID + CODES))
    check_marks_of(generator, key)
    made = records(generator, key, tmp_path / "out")
    assert [record.check.status for record in made] == ["mark_found", "mark_found"]
    assert [record.mark.key_id for record in made] == [key.key_id] * 2
    assert made[0].family == "tones"
    sent = b"".join(server.asked)
    assert key.key_id.encode() in sent
    assert_no_secret(sent, key, *table_of(generator.model).subkeys(key).values())


def test_a_server_that_does_not_mark_is_found_out_before_the_first_clip(server, folder, ring, tmp_path):
    key = ring.default_or_new()
    generator = load_generator("server", folder, GeneratorSettings(url=server.url))
    with pytest.raises(IntegrityError, match="the server does not mark"):
        check_marks_of(generator, key)
    assert [record.check.status for record in records(generator, key, tmp_path / "out")] == ["mark_not_found"] * 2
