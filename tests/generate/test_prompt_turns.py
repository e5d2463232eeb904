"""A prompt may be text, a sound or a conversation; what cannot be used says why and spoils its own line only."""

import json

import pytest

from covoguard.generate.prompt_turns import MAX_TURNS, PromptTurn
from covoguard.generate.prompts import PromptList, read_prompts


def entries_of(*lines):
    return list(PromptList("test", "jsonl", "\n".join(lines).encode()))


def test_text_sound_and_conversation_are_read_turn_by_turn():
    text, sound, both, talk = entries_of(
        '{"text": "Good  morning."}',
        '{"audio": "q.wav"}',
        '{"audio": "q.wav", "text": "Answer in one word.", "voice": "a", "id": 7}',
        '{"turns": [{"text": "Hello."}, {"audio": "q.wav"}], "id": "talk"}',
    )
    assert text.turns == (PromptTurn("Good morning."),)
    assert sound.turns == (PromptTurn(None, "q.wav"),)
    assert sound.text == "[q.wav]"
    assert both.turns == (PromptTurn("Answer in one word.", "q.wav"),)
    assert (both.text, both.voice, both.prompt_id) == ("[q.wav] Answer in one word.", "a", "7")
    assert talk.turns == (PromptTurn("Hello."), PromptTurn(None, "q.wav"))
    assert talk.text == "Hello.\n[q.wav]"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[]", "not an object"),
        ("{}", 'not an object with "text"'),
        ('{"audio": 3}', '"audio" is not text'),
        ('{"audio": ""}', "names no file"),
        ('{"audio": "a\\u0000b"}', "NUL"),
        ('{"text": " ", "audio": "q.wav"}', "empty"),
        ('{"turns": []}', "0 turns"),
        ('{"turns": "hello"}', "not a list"),
        ('{"turns": [{"text": "a"}, "b"]}', "not a list of objects"),
        ('{"turns": [{"text": "a"}, {}]}', "not an object"),
        ('{"turns": [{"text": "a"}], "text": "b"}', "beside"),
        (json.dumps({"turns": [{"text": "a"}] * (MAX_TURNS + 1)}), "turns; a conversation"),
    ],
)
def test_what_cannot_be_used_spoils_its_own_line_only(line, problem):
    before, bad, after = entries_of('{"text": "a"}', line, '{"text": "b"}')
    assert problem in bad.problem
    assert bad.problem.startswith("line 2: ")
    assert (before.problem, after.problem) == (None, None)


def test_sound_files_are_named_from_the_folder_of_the_prompts(tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"audio": "q.wav"}\n', encoding="utf-8")
    assert read_prompts(str(tmp_path / "prompts.jsonl")).folder == tmp_path
    assert [entry.turns for entry in PromptList.of_sounds(["a.wav", "ü.wav"])] == [
        (PromptTurn(None, "a.wav"),),
        (PromptTurn(None, "ü.wav"),),
    ]
