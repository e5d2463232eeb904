"""The bundled generator from text to sound; with random weights unless the trained model is there."""

import numpy as np
import pytest
from pocket_model import complete

from covoguard.core.errors import UsageError
from covoguard.core.records import Audio, Prompt
from covoguard.generate.backends.pocket import MAX_WORDS_PER_LINE, PocketGenerator, line_seed, split_lines
from covoguard.generate.pocket.recoverer import PocketRecoverer
from covoguard.generate.registry import GENERATORS

TEXT = "Two birds sing. Why?"


@pytest.fixture(scope="module")
def generator(pocket_folder):
    return GENERATORS.get("pocket").load(pocket_folder)


class Counting:
    """A mark that takes the likeliest token and writes down the slots."""

    scheme = "counting"

    def __init__(self):
        self.slots = []

    def sample(self, probs, slot):
        self.slots.append(slot)
        return probs.argmax(axis=1).astype(np.int32)


def test_a_prompt_becomes_tokens_and_their_sound(generator):
    clip = generator.generate(Prompt(text=TEXT), mark=None, seed=1)
    assert len(clip.tokens.ids) > 5
    assert (clip.tokens.rate_hz, clip.tokens.codebook_size) == (25, 1024)
    assert clip.audio.rate_hz == generator.rate_hz == 16_000
    assert len(clip.audio.samples) == 640 * len(clip.tokens.ids)
    assert np.isfinite(clip.audio.samples).all()


def test_prompt_mark_and_seed_decide_and_nothing_else(generator, pocket_folder):
    first = generator.generate(Prompt(text=TEXT), mark=None, seed=1)
    again = PocketGenerator.load(pocket_folder).generate(Prompt(text=TEXT, voice="slt"), mark=None, seed=1)
    assert np.array_equal(first.tokens.ids, again.tokens.ids)
    assert np.array_equal(first.audio.samples, again.audio.samples)
    assert first.recipe == again.recipe
    other = generator.generate(Prompt(text=TEXT), mark=None, seed=2)
    assert not np.array_equal(first.tokens.ids[:5], other.tokens.ids[:5])


def test_the_recipe_says_how_it_was_made(generator):
    recipe = generator.generate(Prompt(text="Yes.", voice="rms"), mark=Counting(), seed=7).recipe
    assert (recipe.generator, recipe.seed, recipe.mark_scheme) == ("pocket-random@1", 7, "counting")
    assert recipe.model_sha256 == generator.model.model_sha256
    settings = dict(recipe.sampling)
    assert (settings["temperature"], settings["top_p"], settings["voice"]) == (1.0, 0.98, "rms")
    assert 0 < settings["entropy_bits_per_token"] <= 10
    assert recipe.key_id is None


def test_slots_run_on_from_sentence_to_sentence(generator):
    mark = Counting()
    clip = generator.generate(Prompt(text=TEXT), mark=mark, seed=1)
    assert mark.slots == list(range(len(clip.tokens.ids)))


@pytest.mark.parametrize("text", ["", "   ", "\n", "...", "\x07", "日本", "a " * 1500])
def test_text_that_cannot_be_said_is_refused(generator, text):
    with pytest.raises(UsageError):
        generator.generate(Prompt(text=text), mark=None, seed=1)


def test_a_prompt_is_refused_before_any_of_it_is_sampled(generator):
    mark = Counting()
    with pytest.raises(UsageError, match="control character"):
        generator.generate(Prompt(text="Hello. And\x07 more."), mark=mark, seed=1)
    assert mark.slots == []


def test_other_voices_and_other_kinds_of_prompt_are_refused(generator):
    with pytest.raises(UsageError, match=r"no voice 'alto'; its voices are slt, rms"):
        generator.generate(Prompt(text="Yes.", voice="alto"), mark=None, seed=1)
    with pytest.raises(UsageError, match="give the prompt as text"):
        generator.generate(Prompt(), mark=None, seed=1)
    with pytest.raises(UsageError, match="give the prompt as text"):
        generator.generate(Prompt(text="Yes.", audio=Audio(np.zeros(9, np.float32), 16_000)), mark=None, seed=1)


def test_long_text_is_said_in_parts_that_lose_no_word():
    long = (
        " ".join(f"word{n}" + ("," if n % 11 == 0 else "") for n in range(70)) + ". Next one; and the last!\nNew line"
    )
    parts = split_lines(long)
    assert " ".join(parts).split() == long.split()
    assert all(len(part.split()) <= MAX_WORDS_PER_LINE for part in parts)
    assert parts[-3:] == ["Next one;", "and the last!", "New line"]
    assert parts[0].endswith("word11,"), "a comma is the better place"


@pytest.mark.parametrize("text", ["Hello", "Costs 3.50 now.", "A.B"])
def test_short_text_stays_whole(text):
    assert split_lines(text) == [text]


def test_marks_without_words_are_no_parts():
    assert split_lines("Hello. -- ... World.") == ["Hello.", "World."]
    assert split_lines("Hello. 日本。 Élan?") == ["Hello.", "日本。 Élan?"]
    assert split_lines("Hello.\n日本。") == ["Hello."]
    assert split_lines("...") == ["..."]


def test_sentences_of_a_prompt_have_seeds_of_their_own():
    seeds = {line_seed(seed, index) for seed in range(20) for index in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**64 for seed in seeds)


@pytest.mark.skipif(not complete(), reason="the bundled model folder holds no trained model yet")
class TestBundled:
    def test_what_it_says_is_as_long_as_speech_and_has_room_for_a_mark(self):
        clip = PocketGenerator.load().generate(
            Prompt(text="The small boat came back before the rain."), mark=None, seed=3
        )
        assert 1.2 < clip.audio.duration_s < 5
        assert dict(clip.recipe.sampling)["entropy_bits_per_token"] > 1

    def test_its_recoverer_reads_the_tokens_back(self):
        clip = PocketGenerator.load().generate(Prompt(text="We counted seven green bottles."), mark=None, seed=4)
        posteriors = PocketRecoverer.load().recover(clip.audio)
        cells = np.repeat(clip.tokens.ids, 2)
        assert (posteriors.ids[:, 0] == cells).mean() > 0.6
        assert (posteriors.ids[:, :5] == cells[:, None]).any(axis=1).mean() > 0.85
