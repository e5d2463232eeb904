"""Every reason and error code that a record can carry: what it means and what to do about it.

Codes are stable: scripts and appeals rest on them. A code that is not in these tables cannot leave the tool
(tested), and `covoguard explain CODE` prints its entry.
"""

from .provenancereasons import PROVENANCE_REASONS
from .reason import Reason


def _table(*reasons: Reason) -> dict[str, Reason]:
    return {reason.code: reason for reason in reasons}


REASONS: dict[str, Reason] = _table(
    # --- what the evidence says -------------------------------------------------------------------
    Reason(
        "token_mark",
        "The sound carries the token mark of one of your keys, with a certified p-value within the policy's bound.",
        "At least the listed spans were sampled by the marked model under that key. This says nothing of the rest of "
        "the recording, nor that the message is authentic: marked speech can be cut out and put elsewhere.",
    ),
    Reason(
        "weak_token_mark",
        "There is evidence of a token mark, but not enough for the policy's bound.",
        "Run `covoguard verify` on a longer or less processed copy. In a large collection a few such files are chance.",
    ),
    Reason(
        "strong_artifacts",
        "The detector's calibrated log10 likelihood ratio is at or above the policy's threshold for `synthetic`.",
        "Look at the segments that carry the score and at the quality facts before acting; seek a second source.",
    ),
    Reason(
        "between_thresholds",
        "The score lies in the band where the policy refuses to decide: both kinds of speech score like this.",
        "Treat the file as undecided. A longer or less processed copy of the recording may decide it.",
    ),
    Reason(
        "below_threshold",
        "The score is low enough that the policy reports no evidence of generated speech.",
        "This is not proof of a human voice: generators that the detector never saw can score low.",
    ),
    Reason(
        "suspicious_segment",
        "The file as a whole scores low, but at least one window alone scores as high as a synthetic file.",
        "Listen to the segments listed in the record: part of the recording may have been replaced.",
    ),
    Reason(
        "out_of_domain",
        "The recording is less like those that the detector was trained and calibrated on than about 999 in 1000 of "
        "their kind, so its score has never been put to the test on anything like it.",
        "Listen to it: singing, music, noise, an effect or an odd device may be the cause. Seek a plainer copy or "
        "other evidence; the score decides nothing here.",
    ),
    Reason(
        "unstable_score",
        "A second look at copies through mild codecs, which sound the same, gave ratios that differ by more than the "
        "policy allows, or that speak for the opposite verdict.",
        "Treat the file as undecided: the score hangs on details that any upload would change. The ratios of the "
        "copies are in the record.",
    ),
    # --- when nothing can be said ------------------------------------------------------------------
    Reason(
        "no_detector",
        "No detector gave a calibrated score for this file.",
        "Run `covoguard doctor`; scan again with a detector that has a calibration.",
    ),
    Reason(
        "no_recoverer",
        "There is no recoverer for the marked model, so its tokens cannot be read back from sound.",
        "Train one with `covoguard recover train` and give its folder with --model, or verify from the generation "
        "ledger: `covoguard verify --ledger manifest.jsonl`.",
    ),
    Reason(
        "other_mark_table",
        "The ledger says that the clip was marked under another mark table than that of the model given.",
        "Give the folder of the model, in the version, that made the clip with --model.",
    ),
    Reason(
        "no_tokens",
        "The ledger lists the file but has kept no tokens of it.",
        "Verify from the sound: leave out --ledger, and give the model's recoverer with --model.",
    ),
    # --- quality: what limits the score ----------------------------------------------------------------
    Reason(
        "too_short",
        "There is too little speech for a score that can be relied on, or too little sound for a mark.",
        "Find a longer excerpt of the same recording.",
    ),
    Reason(
        "no_speech",
        "No speech was found: voice activity detection heard none, or, where a mark is looked for, all is silent.",
        "Check that the file is the right one; music, noise and silence are not analysed.",
    ),
    Reason(
        "narrowband",
        "The sound holds no content above the telephone band or little more, whatever its sample rate says.",
        "Find the recording before it went through a telephone line or a low-rate codec.",
    ),
    Reason(
        "low_snr",
        "The speech stands too little above the noise.",
        "Find a cleaner copy. Do not denoise: denoisers leave artifacts of their own.",
    ),
    Reason(
        "clipped",
        "Many samples sit at the ceiling: the recording is overdriven.",
        "Find a copy from before the level was raised.",
    ),
    Reason(
        "partial",
        "The file is damaged or cut: less could be read than it declares. What was read has been analysed.",
        "Obtain the file again. The record says how many seconds were read of how many declared.",
    ),
    Reason(
        "too_long",
        "The file is longer than the cap on decoded seconds; only its beginning has been analysed.",
        "Raise --max-duration, or cut the file and scan the parts.",
    ),
    # --- input that cannot be analysed -----------------------------------------------------------------
    Reason(
        "not_found",
        "There is no file at this path.",
        "Check the path; on a network drive, check that it is mounted.",
    ),
    Reason(
        "not_a_file",
        "The path is a folder, pipe, socket or device where a file was expected.",
        "Give a regular file. To scan a stream, send its bytes to standard input: `covoguard scan -`.",
    ),
    Reason(
        "no_permission",
        "The operating system refuses to open the file.",
        "Grant read permission or run as a user who has it.",
    ),
    Reason("empty_file", "The file has no bytes.", "Obtain the file again."),
    Reason(
        "too_large",
        "The input has more bytes than covoguard reads.",
        "Cut the recording into parts; a file of this size that claims to hold speech may be hostile.",
    ),
    Reason(
        "not_audio",
        "The file's content is of a kind that holds no sound: text, a page, an image, a playlist, an archive.",
        "Check the file. The suffix plays no part; the content decides.",
    ),
    Reason(
        "encrypted_or_unknown",
        "The content is not of any known audio or video kind, or it is encrypted, or its header is destroyed.",
        "Obtain an unprotected copy, or export it as WAV or FLAC in the program that can play it.",
    ),
    Reason(
        "no_audio_stream",
        "The container is fine but holds no sound track.",
        "Check whether the sound is in a separate file.",
    ),
    Reason(
        "unsupported_codec",
        "The container is fine but its sound is in a codec that the bundled decoder lacks.",
        "Export the sound as WAV or FLAC in a program that can play it.",
    ),
    Reason(
        "nothing_decoded",
        "The container was recognised, yet not one piece of sound in it could be decoded.",
        "The file is destroyed or cut before its index; obtain it again.",
    ),
    Reason(
        "bad_header",
        "The header declares an impossible sample rate or number of channels.",
        "The file is damaged or forged; obtain it again.",
    ),
    Reason(
        "decode_timeout",
        "Decoding took longer than the time limit and was stopped.",
        "Raise --timeout-per-file if the file is long; otherwise treat it as hostile.",
    ),
    Reason(
        "decode_memory",
        "Decoding needed more memory than its limit and was stopped.",
        "Treat the file as hostile unless you know why it needs so much.",
    ),
    Reason(
        "decoder_crashed",
        "The decoder process died on this file. Other files are not affected.",
        "Treat the file as hostile. Please report it: a crash on input is a defect.",
    ),
    Reason(
        "changed_while_read",
        "The file changed while it was read, so its hash and its sound may not belong together.",
        "Scan a copy that nothing writes to.",
    ),
    Reason(
        "read_error",
        "The operating system reported an error while the file was read.",
        "Check the disk or network drive and scan again.",
    ),
    *PROVENANCE_REASONS,
    Reason(
        "internal_error",
        "covoguard itself failed on this file. Other files are not affected.",
        "Please report it with the message in the record; run with -v to see the details.",
    ),
)

STOPS: dict[str, Reason] = _table(
    Reason(
        "bad_prompt",
        "A prompt cannot be said: its text, its voice or its line in the prompts file is at fault. Others were made.",
        "Read the message of its row in manifest.jsonl, correct the prompts file, and generate into a new folder.",
    ),
    Reason(
        "usage",
        "The command, an option, the policy or a results file is wrong; nothing was scanned.",
        "Read the message: it names the option or the file. `--help` shows what is allowed.",
    ),
    Reason(
        "model_missing",
        "A model file that the command needs is not installed.",
        "Run `covoguard doctor`; install covoguard again or give a complete folder with --model.",
    ),
    Reason(
        "key_missing",
        "A secret key that the command needs is not there, or its file is open to others.",
        "Read the message: it names the file and the chmod to run, or the keys that are known. Never mail a key.",
    ),
    Reason(
        "integrity",
        "A file is not the one that its checksum lists: it was damaged or swapped.",
        "Do not use it. Install it again from its source.",
    ),
    Reason(
        "output_error",
        "Results could not be written: the disk is full, or the output's folder refuses it.",
        "Make room or choose another place. What was finished is kept in the .partial file that the message names.",
    ),
)
"""Codes of errors that stop a command. No record carries them."""
