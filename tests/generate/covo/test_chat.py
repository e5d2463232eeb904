from dataclasses import replace

import numpy as np
import pytest
import torch

from covoguard.core.errors import InputError, UsageError
from covoguard.core.records import Audio, Turn
from covoguard.generate.covo.decoding.engine import Engine
from covoguard.generate.covo.decoding.requests import Reply, Request
from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.language.chat import Chat, Rounds, Wanted, stop_ids
from covoguard.generate.covo.language.features import FrontEnd

SETTINGS = Wanted(CovoSampling(greedy=True, max_new_tokens=12), seed=0)
DRAWN = Wanted(CovoSampling(max_new_tokens=12), seed=7)
PLACEHOLDER = 261
PROMPTS = ([40, 41, PLACEHOLDER, PLACEHOLDER, 42], [10, 50, PLACEHOLDER, 51])


def answers(model, requests, stops=frozenset(), slots=1, max_tokens=512):
    engine = Engine(model.llm, model.config.audio_ids, stops, slots=slots, max_tokens=max_tokens)
    replies = dict(engine.run(requests))
    for reply in replies.values():
        if not isinstance(reply, Reply):
            raise reply
    return [replies[index] for index in sorted(replies)]


def answer(model, request, stops=frozenset()):
    return answers(model, [request], stops)[0]


def rows(n, seed=0):
    return torch.randn(n, 32, generator=torch.Generator().manual_seed(seed))


def rounds(model, turn_end=9, **options):
    return Rounds(model, turn_end=turn_end, placeholder=PLACEHOLDER, **options)


def said_at_once(model, pieces, ids):
    """The second round without any cache: everything before it in one prompt."""
    embeds = torch.cat([model.embed(torch.tensor(piece), heard, PLACEHOLDER) for piece, heard in pieces if piece])
    return answer(model, Request(embeds, torch.tensor(ids), 0, SETTINGS.sampling)).ids.tolist()


def speech(seconds, rate_hz=16000, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate_hz))
    return Audio(noise.astype(np.float32), rate_hz, source="question.wav")


@pytest.fixture
def chat(model, writer):
    return Chat(model, writer, system_text="Be brief.")


# --- rounds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference_history", [False, True])
@pytest.mark.parametrize("ending", ["stopped", "cut"])
def test_the_second_round_follows_on_the_first_as_if_all_were_said_at_once(model, ending, reference_history):
    free = answer(model, rounds(model).request(PROMPTS[0], rows(2), SETTINGS)).ids.tolist()
    stop = free[5] if ending == "stopped" else 9
    talk = rounds(model, turn_end=stop, reference_history=reference_history)
    reply = answer(model, talk.request(PROMPTS[0], rows(2), SETTINGS), frozenset({stop}))
    talk.receive(reply)
    written = free[: free.index(stop) + 1] if ending == "stopped" else free
    assert (reply.ids.tolist(), reply.stopped) == (written, ending == "stopped")
    second = answer(model, talk.request(PROMPTS[1], rows(1), SETTINGS)).ids.tolist()
    closed = [*written[:-1], stop] if ending == "stopped" else [*written, stop]
    read = written[:-1] if reference_history else closed
    pieces = [(PROMPTS[0], rows(2)), (read, None), (PROMPTS[1], rows(1))]
    assert second == said_at_once(model, pieces, PROMPTS[1])


def test_penalties_see_the_ids_of_their_round_only(model):
    talk = rounds(model)
    first = talk.request(PROMPTS[0], rows(2), SETTINGS)
    talk.receive(answer(model, first))
    assert first.ids.tolist() == PROMPTS[0]
    assert talk.request(PROMPTS[1], rows(1), SETTINGS).ids.tolist() == PROMPTS[1]


def test_a_placeholder_that_the_model_wrote_is_no_place_for_sound(model):
    talk = rounds(model)
    reply = answer(model, talk.request(PROMPTS[0], rows(2), SETTINGS))
    talk.receive(replace(reply, history=replace(reply.history, unread_id=PLACEHOLDER)))
    embeds = talk.request(PROMPTS[1], rows(1), SETTINGS).embeds
    table = model.llm.model.embed_tokens.weight
    assert torch.equal(embeds[:2], table[[PLACEHOLDER, 9]])
    assert torch.equal(embeds[4], rows(1)[0])


def test_a_round_that_was_said_to_be_the_last_leaves_nothing_to_go_on_with(model):
    talk = rounds(model)
    talk.receive(answer(model, talk.request(PROMPTS[0], rows(2), replace(SETTINGS, goes_on=False))))
    with pytest.raises(ValueError, match="nothing is left"):
        talk.request(PROMPTS[1], rows(1), SETTINGS)


def test_rounds_are_refused_once_prompt_history_and_reply_exceed_the_room(model):
    room = len(PROMPTS[0]) + 12 + 1 + len(PROMPTS[1]) + 12
    for spare, fits in ((0, True), (-1, False)):
        talk = rounds(model, max_tokens=room + spare)
        talk.receive(answer(model, talk.request(PROMPTS[0], rows(2), SETTINGS)))
        if fits:
            reply = answers(model, [talk.request(PROMPTS[1], rows(1), SETTINGS)], max_tokens=room)[0]
            assert len(reply.ids) == 12
        else:
            with pytest.raises(UsageError, match=r"4 tokens, after 18 of earlier rounds.*; together at most 33: "):
                talk.request(PROMPTS[1], rows(1), SETTINGS)


# --- chats -------------------------------------------------------------------------------------------------


def test_a_chat_hears_every_turn_whole_and_says_the_system_text_once(chat, model, writer, config):
    front = FrontEnd.of(config)
    first = chat.request(Turn(audio=speech(2.1, 44100)), SETTINGS)
    assert first.ids.tolist() == writer.prompt(None, 14, "Be brief.")
    heard = model.hear(front.windows(torch.from_numpy(speech(2.1).samples)))
    places = first.ids == writer.special.placeholder
    assert first.embeds[places].shape == heard.shape
    chat.receive(answer(model, first))
    second = chat.request(Turn(text="And now?", audio=speech(0.3)), SETTINGS)
    assert second.ids.tolist() == writer.prompt("And now?", 2, None)
    assert torch.equal(second.embeds[0], model.llm.model.embed_tokens.weight[first_unread(model, first)])


def first_unread(model, request):
    return int(answer(model, request).ids[-1])


def test_the_text_of_a_reply_is_given_back(chat, model, writer):
    reply = answer(model, chat.request(Turn(text="Hello"), DRAWN))
    assert chat.receive(reply) == writer.text(reply.ids)


def test_in_text_only_no_audio_id_is_written_and_the_end_of_text_is_closed_like_a_turn(model, writer):
    chat = Chat(model, writer, system_text="Think.", text_only=True)
    stops = stop_ids(writer.special, text_only=True)
    assert stops == {writer.special.turn_end, writer.special.end_of_text}
    assert stop_ids(writer.special, text_only=False) == {writer.special.turn_end}
    request = chat.request(Turn(audio=speech(0.5)), DRAWN)
    reply = answer(model, request, stops)
    assert len(reply.audio_codes) == 0
    history = replace(reply.history, unread_id=writer.special.end_of_text)
    chat.receive(replace(reply, stopped=True, history=history))
    following = chat.request(Turn(text="Why?"), DRAWN)
    assert torch.equal(following.embeds[0], model.llm.model.embed_tokens.weight[writer.special.turn_end])
    assert len(following.embeds) == len(following.ids) + 1


def test_a_turn_that_is_refused_leaves_the_chat_as_it_was(chat, model):
    chat.receive(answer(model, chat.request(Turn(text="Hello"), SETTINGS)))
    before = chat.request(Turn(text="Go on"), SETTINGS)
    for turn, error, message in (
        (Turn(), UsageError, "empty"),
        (Turn(text="  "), UsageError, "empty"),
        (Turn(text="word " * 200), UsageError, "begin a new conversation"),
        (Turn(audio=speech(0.005)), InputError, r"^question\.wav: shorter than 10 ms"),
        (Turn("text", Audio(np.zeros(16000, np.float32), 16000)), InputError, r"^the prompt's sound: silent"),
    ):
        with pytest.raises(error, match=message):
            chat.request(turn, SETTINGS)
    after = chat.request(Turn(text="Go on"), SETTINGS)
    assert torch.equal(after.embeds, before.embeds)
    assert after.history is before.history


def test_sound_that_is_too_long_is_refused_before_it_is_heard(chat, model, monkeypatch):
    monkeypatch.setattr(model, "hear", lambda windows: pytest.fail("the encoder ran"))
    with pytest.raises(UsageError, match="give less text or sound"):
        chat.request(Turn(audio=speech(90)), SETTINGS)


def test_chats_in_one_batch_go_as_each_alone(model, writer):
    def talk(chats, slots):
        heard = []
        for n in range(2):
            turns = [Turn(audio=speech(0.4 + who, seed=who + n)) for who in range(len(chats))]
            settings = [replace(DRAWN, seed=10 * who + n) for who in range(len(chats))]
            requests = [c.request(turn, each) for c, turn, each in zip(chats, turns, settings, strict=True)]
            replies = answers(model, requests, slots=slots)
            for c, reply in zip(chats, replies, strict=True):
                c.receive(reply)
            heard.append([reply.ids.tolist() for reply in replies])
        return heard

    def new(count):
        return [Chat(model, writer, system_text="Be brief.") for _ in range(count)]

    assert talk(new(3), slots=3) == talk(new(3), slots=1)
