"""Prompts are read from text, CSV and JSON Lines; one that is no prompt never stops the others."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import InputError, UsageError
from covoguard.generate.prompts import MAX_LINE_BYTES, PromptList, read_prompts


def entries(tmp_path, content, name="prompts.txt"):
    path = tmp_path / name
    path.write_bytes(content)
    return list(read_prompts(str(path)))


def test_text_has_one_prompt_per_line_whatever_ends_it(tmp_path):
    found = entries(tmp_path, b"\xef\xbb\xbfGood morning.\r\n\r\n  Zw\xc3\xb6lf  eggs.\t\nlast")
    assert [(entry.line, entry.text) for entry in found] == [(1, "Good morning."), (3, "Zwölf eggs."), (4, "last")]
    assert all(entry.problem is None and entry.voice is None and entry.prompt_id is None for entry in found)


def test_csv_has_named_columns(tmp_path):
    content = b'\xef\xbb\xbfID,Text,voice,mood\r\n7,"Hello, you\nthere",slt,happy\r\n8,Bye,,\r\n,,,\r\n'
    found = entries(tmp_path, content, "prompts.csv")
    assert [(e.prompt_id, e.text, e.voice) for e in found] == [("7", "Hello, you there", "slt"), ("8", "Bye", None)]


def test_json_lines_have_objects(tmp_path):
    content = b'{"text": "Hello", "voice": "rms", "id": 3}\n{"text": "Bye"}\n'
    found = entries(tmp_path, content, "prompts.jsonl")
    assert [(e.prompt_id, e.text, e.voice) for e in found] == [("3", "Hello", "rms"), (None, "Bye", None)]


def test_standard_input_is_text_or_json_lines():
    assert [e.text for e in read_prompts("-", io.BytesIO(b"one\ntwo\n"))] == ["one", "two"]
    assert [e.text for e in read_prompts("-", io.BytesIO(b'{"text": "one"}\n'))] == ["one"]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("p.txt", b"\xff\xfe broken"),
        ("p.txt", b"a\0b"),
        ("p.txt", b"x" * (10 << 20)),
        ("p.jsonl", b"{"),
        ("p.jsonl", b"[1]"),
        ("p.jsonl", b'{"text": 1}'),
        ("p.jsonl", b'{"text": "a", "voice": []}'),
        ("p.jsonl", b'{"text": ""}'),
        ("p.jsonl", b'{"text": "\\ud800"}'),
        ("p.jsonl", b'{"text": "a", "id": "\\u0000"}'),
        ("p.jsonl", b"[" * 60_000),
        ("p.jsonl", b'{"text": ' + b"1" * 10_000 + b"}"),
        ("p.csv", b"a,b,c,d"),
        ("p.csv", b"\xff\xff,slt"),
        ("p.csv", b"a\0b,slt"),
        ("p.csv", b'"",slt'),
        ("p.csv", b"y" * (10 << 20)),
    ],
)
def test_a_bad_line_is_an_entry_with_a_problem_and_the_next_one_is_read(tmp_path, name, bad):
    head, good = {
        "p.txt": (b"", b"good"), "p.jsonl": (b"", b'{"text": "good"}'), "p.csv": (b"text,voice\n", b"good,slt"),
    }[name]  # fmt: skip
    found = entries(tmp_path, b"\n".join([head + good, bad, good, b""]), name)
    assert [entry.problem is None for entry in found] == [True, False, True]
    assert [found[0].text, found[2].text] == ["good", "good"]
    assert found[1].problem.startswith("line ")
    json.dumps(found[1].text).encode("ascii")
    found[1].text.encode("utf-8")
    assert len(found[1].text) <= 800


def test_a_quote_that_is_never_closed_is_one_bad_entry(tmp_path):
    found = entries(tmp_path, b'text\ngood\n"open\nlost\n', "p.csv")
    assert [entry.problem is None for entry in found] == [True, False]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", b"\n \r\n"),
        ("p.txt", "hello".encode("utf-16")),
        ("p.txt", b"\x02\0\0\0\0\0\0\0{}" + b" " * 9000 + bytes(range(256))),
        ("p.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 8),
        ("p.csv", b"words,voice\nhello,slt\n"),
        ("p.csv", b"text,text\na,b\n"),
        ("p.csv", b'"text\n'),
        ("p.csv", b"text\n"),
    ],
)
def test_a_file_without_prompts_is_refused_as_a_whole(tmp_path, name, content):
    with pytest.raises(UsageError, match=r"p\.(txt|csv)"):
        entries(tmp_path, content, name)


def test_what_cannot_be_read_is_an_input_error(tmp_path):
    with pytest.raises(InputError) as missing:
        read_prompts(str(tmp_path / "none.txt"))
    assert missing.value.code == "not_found"
    with pytest.raises(InputError) as folder:
        read_prompts(str(tmp_path))
    assert folder.value.code == "not_a_file"
    with pytest.raises(InputError) as empty:
        entries(tmp_path, b"")
    assert empty.value.code == "empty_file"
    with pytest.raises(InputError):
        read_prompts("a\0b")


def test_a_million_lines_are_counted(tmp_path):
    path = tmp_path / "many.txt"
    path.write_bytes(b"Hello there.\n" * 1_000_000)
    assert read_prompts(str(path)).count() == 1_000_000


def test_a_cut_character_at_the_end_of_the_head_is_still_text(tmp_path):
    content = b"a\0" + b"x" * (8190 - 2 - 1) + "\u20ac".encode() + b"\ngood\n"
    assert [entry.problem is None for entry in entries(tmp_path, content)] == [False, True]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_texts_of_the_command_line_come_back_one_by_one(texts):
    found = list(PromptList.of_texts(texts))
    assert [entry.line for entry in found] == list(range(1, len(texts) + 1))
    for text, entry in zip(texts, found, strict=True):
        if entry.problem is None:
            assert entry.text.split() == text.split()


@given(st.binary(max_size=200), st.sampled_from(["text", "csv", "jsonl"]))
def test_no_bytes_break_the_reader(content, prompt_format):
    prompts = PromptList("x", prompt_format, content)
    try:
        found = list(prompts)
    except UsageError:
        assert prompt_format == "csv"
        return
    assert prompts.count() == len(found)
    for entry in found:
        entry.text.encode("utf-8")
        assert entry.problem is not None or 0 < len(entry.text) <= MAX_LINE_BYTES


def test_lists_with_the_same_lines_share_a_hash_and_others_do_not(tmp_path):
    one, two = PromptList.of_texts(["a", "b"]), PromptList.of_texts(["a", "b"])
    assert one.sha256 == two.sha256
    assert one.sha256 != PromptList.of_texts(["b", "a"]).sha256
    assert PromptList("x", "text", b"a").sha256 != PromptList("x", "csv", b"a").sha256
