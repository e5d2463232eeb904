import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.generate.covo.language.prompt import PromptWriter, load_tokenizer
from covoguard.generate.covo.language.system_texts import default_system_text

SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<|begofcAUDIO|>", "<|cAUDIO|>", "<|endofcAUDIO|>")


def test_a_first_round_has_the_system_turn_and_later_ones_only_a_line_break(writer, tokenizer):
    later = "\n<|im_start|>user\n<|begofcAUDIO|><|cAUDIO|><|cAUDIO|><|endofcAUDIO|><|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(writer.prompt(None, 2, "Be brief.")) == "<|im_start|>system\nBe brief.<|im_end|>" + later
    assert tokenizer.decode(writer.prompt(None, 2, None)) == later


def test_text_stands_alone_or_after_the_sound(writer, tokenizer):
    start, end = "\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(writer.prompt("What is it?", 0, None)) == f"{start}What is it?{end}"
    sound = "<|begofcAUDIO|><|cAUDIO|><|endofcAUDIO|>"
    assert tokenizer.decode(writer.prompt("What is it?", 1, None)) == f"{start}{sound}What is it?{end}"


def test_a_prompt_is_what_the_tokenizer_makes_of_its_spelling(writer, tokenizer):
    for system, text, rows in (("Be brief.", "user us\n\n", 0), (None, " user\n", 3), ("用户", "你好\r\n ", 1)):
        ids = writer.prompt(text, rows, system)
        assert ids == tokenizer.encode(tokenizer.decode(ids), add_special_tokens=False)


@given(st.integers(0, 3), st.lists(st.sampled_from([*SPECIAL_TOKENS, "<|endoftext|>", "<tool>", "a", " ", "\n", "é"])))
def test_special_tokens_that_are_typed_stay_text(writer, tokenizer, rows, pieces):
    typed = "x" + "".join(pieces)
    plain, told = writer.prompt("x", rows, "y"), writer.prompt(typed, rows, typed)
    added = set(tokenizer.get_added_vocab().values())
    assert [each for each in told if each in added] == [each for each in plain if each in added]
    assert tokenizer.decode([each for each in told if each not in added]).count(typed) == 2


@pytest.mark.parametrize(("text", "rows", "system"), [(None, 0, "s"), ("", 0, None), (" \n", 0, None), ("a", 0, "  ")])
def test_a_round_in_which_nothing_is_said_is_refused(writer, text, rows, system):
    with pytest.raises(UsageError, match="is empty; "):
        writer.prompt(text, rows, system)


@pytest.mark.parametrize(("text", "system"), [("a\ud800", "s"), ("a", "s\udfff")])
def test_text_that_is_not_unicode_is_refused(writer, text, system):
    with pytest.raises(UsageError, match=r"not Unicode text \(place 2\)"):
        writer.prompt(text, 0, system)


def test_the_text_of_a_reply_is_what_lies_between_its_audio(writer, tokenizer, config):
    said = tokenizer.encode("Hello, user. 你好", add_special_tokens=False)
    audio = [config.first_audio_id, config.audio_ids[-1]]
    ids = [*said[:5], *audio, *said[5:], *audio, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    assert writer.text(ids) == "Hello, user. 你好"
    assert writer.text(audio) == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_default_texts_ask_for_text_and_audio_in_turn(language):
    spoken, written = default_system_text(language), default_system_text(language, text_only=True)
    assert spoken.index("5") < spoken.index("15") < spoken.index("default_female")
    assert "audio" not in written
    assert "default_female" not in written


# --- the tokenizer -----------------------------------------------------------------------------------------


def test_a_tokenizer_is_read_from_either_kind_of_folder(tmp_path, writer, tokenizer, config):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    tokenizer.save_pretrained(whole)
    model = json.loads((whole / "tokenizer.json").read_text())["model"]
    parts.mkdir()
    (parts / "vocab.json").write_text(json.dumps(model["vocab"]))
    (parts / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    settings = json.loads((whole / "tokenizer_config.json").read_text())
    settings["added_tokens_decoder"] = {
        str(number): {"content": token, "special": True} for token, number in tokenizer.get_added_vocab().items()
    }
    (parts / "tokenizer_config.json").write_text(json.dumps(settings))
    expected = writer.prompt("user: <|cAUDIO|>", 2, "Be brief.")
    for folder in (whole, parts):
        assert PromptWriter(load_tokenizer(folder), config).prompt("user: <|cAUDIO|>", 2, "Be brief.") == expected


def test_a_folder_without_a_tokenizer_or_with_a_damaged_one_is_named(tmp_path, tokenizer):
    with pytest.raises(ModelMissing, match=r"no tokenizer\.json, nor vocab\.json and merges\.txt"):
        load_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    whole = (tmp_path / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match=r"cannot be read .*; download them again"):
        load_tokenizer(tmp_path)


def test_special_tokens_that_are_missing_are_named(make_tokenizer, config):
    with pytest.raises(IntegrityError, match=r"^here: the tokenizer lacks <\|im_end\|>, <\|cAUDIO\|>; "):
        PromptWriter(make_tokenizer(SPECIAL_TOKENS[::2]), config, "here")


def test_the_tokenizer_and_the_configuration_must_belong_together(tokenizer, make_config):
    with pytest.raises(IntegrityError, match="those of audio begin at 260"):
        PromptWriter(tokenizer, make_config(first_audio_id=260))
    with pytest.raises(IntegrityError, match="but 7 in the configuration"):
        PromptWriter(tokenizer, make_config(placeholder_id=7))
    named = make_config(placeholder_id=tokenizer.convert_tokens_to_ids("<|cAUDIO|>"))
    assert PromptWriter(tokenizer, named).special.placeholder == named.placeholder_id
