"""Prompts become requests and outcomes records, in order, whether the generator takes one at a time or many."""

from itertools import islice

import numpy as np
import pytest
import soundfile
from tone_generator import ToneGenerator, build_tone_model

from covoguard.core.errors import CovoguardError, IntegrityError, UsageError
from covoguard.core.modelcard import sha256_of_file
from covoguard.generate.prompts import PromptList
from covoguard.pipeline.generate import GenerationPlan, open_generation
from covoguard.pipeline.mark_evidence import WrittenClip

PROMPTS = PromptList.of_texts(["one two", "", "three", "unspeakable", "four five six", "crash", "seven"])


class ManyTones(ToneGenerator):
    """Takes two requests at a time."""

    def __init__(self, model):
        super().__init__(model)
        self.taken = []

    def generate_many(self, requests):
        requests = iter(requests)
        while window := list(islice(requests, 2)):
            self.taken.append(len(window))
            for request in window:
                try:
                    yield self.generate(request.prompt, mark=request.mark, seed=request.seed)
                except UsageError as error:
                    yield error
                except ZeroDivisionError as error:
                    yield CovoguardError(str(error)) if "fatal" in request.prompt.text else error


class Listener(ToneGenerator):
    """Says as many words as it hears seconds, and keeps what it was asked."""

    def generate(self, prompt, *, mark, seed):
        self.heard = prompt
        words = " ".join(["word"] * round(prompt.audio.duration_s))
        return super().generate(type(prompt)(text=words), mark=mark, seed=seed)


@pytest.fixture
def model_folder(tmp_path):
    (tmp_path / "model").mkdir()
    build_tone_model(tmp_path / "model")
    return tmp_path / "model"


def run(generator, prompts, folder):
    def read_back(path):
        samples, rate_hz = soundfile.read(path)
        return WrittenClip(sha256_of_file(path), len(samples) / rate_hz, None)

    with open_generation(
        folder, prompts, generator, GenerationPlan(seed=3), key=None, read_back=read_back
    ) as generation:
        return list(generation.records())


def test_many_at_a_time_give_the_same_folder_as_one_at_a_time(model_folder, tmp_path):
    many = ManyTones.load(model_folder)
    records = run(many, PROMPTS, tmp_path / "many")
    assert many.taken == [2, 2, 2]
    run(ToneGenerator.load(model_folder), PROMPTS, tmp_path / "one")
    for name in ("manifest.jsonl", "manifest.csv"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert [record.error.code if record.error else None for record in records] == [
        None, "bad_prompt", None, "bad_prompt", None, "internal_error", None,
    ]  # fmt: skip


def test_what_concerns_every_clip_ends_the_run_and_keeps_what_is_done(model_folder, tmp_path):
    class Broken(ManyTones):
        def generate_many(self, requests):
            yield from islice(super().generate_many(requests), 1)
            yield IntegrityError("the weights are damaged")

    with pytest.raises(IntegrityError, match="damaged"):
        run(Broken.load(model_folder), PromptList.of_texts(["one", "two", "three"]), tmp_path / "o")
    assert len((tmp_path / "o" / "manifest.jsonl").read_text().splitlines()) == 1
    assert len(run(ToneGenerator.load(model_folder), PromptList.of_texts(["one", "two", "three"]), tmp_path / "o")) == 2


def test_a_sound_is_spoken_to_the_generator_at_16_khz(model_folder, tmp_path):
    soundfile.write(tmp_path / "q.wav", 0.1 * np.ones((88_200, 2)), 44_100)
    generator = Listener.load(model_folder)
    (record,) = run(generator, PromptList("p", "jsonl", b'{"audio": "q.wav"}', tmp_path), tmp_path / "o")
    assert record.error is None
    assert record.prompt.text == "[q.wav]"
    assert (generator.heard.audio.rate_hz, generator.heard.audio.duration_s) == (16_000, 2.0)


def test_sounds_that_cannot_be_used_are_records_with_what_to_do(model_folder, tmp_path):
    (tmp_path / "text.wav").write_text("this is no sound", encoding="utf-8")
    lines = b'{"audio": "missing.wav"}\n{"audio": "text.wav"}\n{"audio": "."}'
    records = run(Listener.load(model_folder), PromptList("p", "jsonl", lines, tmp_path), tmp_path / "o")
    assert [record.error.code for record in records] == ["bad_prompt"] * 3
    assert "missing.wav" in records[0].error.message
