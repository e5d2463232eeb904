"""Programs that leave their names in files, and what kind of program each is."""

from dataclasses import dataclass
from typing import Literal

ProgramKind = Literal["encoder", "editor", "recorder", "generator"]


@dataclass(frozen=True)
class Program:
    """A program's name and kind."""

    name: str
    kind: ProgramKind


def _of_kind(kind: ProgramKind, **names: str) -> dict[str, Program]:
    return {needle.replace("_", " "): Program(name, kind) for needle, name in names.items()}


PROGRAMS: dict[str, Program] = {
    **_of_kind(
        "encoder",
        lavf="FFmpeg (libavformat)", lavc="FFmpeg (libavcodec)", lame="LAME", libsndfile="libsndfile",
        itunes="iTunes or Apple Music", nero="Nero AAC", fraunhofer="Fraunhofer", fdk="Fraunhofer FDK AAC",
        libopus="libopus", libvorbis="libvorbis", opusenc="opus-tools", gstreamer="GStreamer", sox="SoX",
        handbrake="HandBrake", qaac="qaac", xiph="Xiph.Org",
    ),
    **_of_kind(
        "editor",
        audacity="Audacity", adobe_audition="Adobe Audition", cool_edit="Cool Edit", premiere="Adobe Premiere",
        after_effects="Adobe After Effects", pro_tools="Pro Tools", protools="Pro Tools", izotope="iZotope",
        reaper="REAPER", logic_pro="Logic Pro", garageband="GarageBand", ableton="Ableton Live",
        cubase="Cubase", nuendo="Nuendo", wavelab="WaveLab", sound_forge="Sound Forge", vegas="Vegas",
        davinci="DaVinci Resolve", final_cut="Final Cut Pro", media_composer="Media Composer", ocenaudio="ocenaudio",
        goldwave="GoldWave", hindenburg="Hindenburg", descript="Descript", fl_studio="FL Studio", capcut="CapCut",
        mp3directcut="mp3DirectCut", twistedwave="TwistedWave",
    ),
    **_of_kind(
        "recorder",
        zoom_h="Zoom recorder", olympus="Olympus recorder", tascam="TASCAM recorder", sound_devices="Sound Devices",
        voice_memos="Apple Voice Memos", com_apple_voicememos="Apple Voice Memos",
    ),
    **_of_kind(
        "generator",
        elevenlabs="ElevenLabs", eleven_labs="ElevenLabs", openai="OpenAI", playht="PlayHT", murf="Murf",
        resemble_ai="Resemble AI", suno="Suno", udio="Udio", speechify="Speechify", heygen="HeyGen",
        coqui="Coqui TTS", espeak="eSpeak", festival="Festival", amazon_polly="Amazon Polly",
        synthesized="a tag that says synthesized", text_to_speech="a tag that says text to speech",
        ai_generated="a tag that says AI generated", covoguard="covoguard",
    ),
}  # fmt: skip
"""By a part of the text in small letters, as it stands in tags."""


def programs_in(text: str) -> list[Program]:
    """Programs named in a text, each once, in the order of the table.

    A name counts where no letter goes directly before it or, for names of up to five letters, after it.
    """
    lowered = text.lower().replace("_", " ").replace("-", " ")
    found: list[Program] = []
    for needle, program in PROGRAMS.items():
        if program not in found and _stands_in(needle, lowered):
            found.append(program)
    return found


def _stands_in(needle: str, text: str) -> bool:
    at = text.find(needle)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(needle) : at + len(needle) + 1]
        if not before.isalpha() and (len(needle) > 5 or not after.isalpha()):
            return True
        at = text.find(needle, at + 1)
    return False
