"""Checkpoint folders of speech models with a few random weights, laid out as real ones are.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import json

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"
HIFIGAN = {
    "upsample_initial_channel": 8, "upsample_rates": (8, 8), "upsample_kernel_sizes": (16, 16),
    "resblock_kernel_sizes": (3,), "resblock_dilation_sizes": ((1,),),
}  # fmt: skip


def save(model, folder):
    """Weights and configuration, as `save_pretrained` leaves them, without its progress bar."""
    from safetensors.torch import save_file

    weights = {name: values.detach().clone().contiguous() for name, values in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)


def save_letters(folder, *, unknown="<unk>"):
    """A tokenizer of single small letters."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    ids = {name: n for n, name in enumerate(["<pad>", unknown, " ", *LETTERS])}
    letters = Tokenizer(WordLevel(ids, unk_token=unknown))
    letters.pre_tokenizer = Split(Regex("."), "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=letters, unk_token=unknown, pad_token="<pad>")
    made.save_pretrained(folder)


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


def build_vits(folder, *, speakers=3):
    import torch
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(0)
    vocabulary = {letter: n for n, letter in enumerate(f"_ {LETTERS}'")}
    config = VitsConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, ffn_dim=8, flow_size=8,
        spectrogram_bins=5, prior_encoder_num_flows=1, prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1, duration_predictor_num_flows=2, duration_predictor_filter_channels=8,
        num_speakers=speakers, speaker_embedding_size=4 if speakers > 1 else 0, sampling_rate=16_000, **HIFIGAN,
    )  # fmt: skip
    save(VitsModel(config), folder)
    write_json(folder / "vocab.json", vocabulary)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "VitsTokenizer", "phonemize": False})
    return folder


def build_speecht5(folder, *, listens=False, voices=("ann", "bob")):
    import torch
    from transformers import (
        SpeechT5Config,
        SpeechT5FeatureExtractor,
        SpeechT5ForSpeechToSpeech,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )
    from transformers.convert_slow_tokenizer import import_protobuf

    torch.manual_seed(0)
    config = SpeechT5Config(
        vocab_size=34, hidden_size=8, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=8, decoder_layers=1,
        decoder_ffn_dim=8, decoder_attention_heads=2, conv_dim=(8, 8), conv_stride=(5, 40), conv_kernel=(10, 40),
        num_mel_bins=4, speech_decoder_prenet_units=8, speaker_embedding_dim=4, speech_decoder_postnet_layers=2,
        speech_decoder_postnet_units=8, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        max_text_positions=40, max_speech_positions=200,
    )  # fmt: skip
    speaker = (SpeechT5ForSpeechToSpeech if listens else SpeechT5ForTextToSpeech)(config)
    torch.nn.init.constant_(speaker.speech_decoder_postnet.prob_out.bias, -9.0)  # it never thinks that it is done
    save(speaker, folder)
    if listens:
        SpeechT5FeatureExtractor(num_mel_bins=4).save_pretrained(folder)
    (folder / "vocoder").mkdir()
    save(SpeechT5HifiGan(SpeechT5HifiGanConfig(model_in_dim=4, initializer_range=0.3, **HIFIGAN)), folder / "vocoder")
    (folder / "voices").mkdir()
    for number, name in enumerate(voices):
        np.save(folder / "voices" / f"{name}.npy", np.eye(4, dtype=np.float32)[number])
    model = import_protobuf().ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.CHAR
    pieces = [("<s>", 3), ("<pad>", 3), ("</s>", 3), ("<unk>", 2), *((letter, 1) for letter in f"\u2581{LETTERS}.")]
    for piece, kind in pieces:
        model.pieces.add(piece=piece, score=0, type=kind)
    (folder / "spm_char.model").write_bytes(model.SerializeToString())
    return folder


def build_bark(folder, *, presets=("v2/en_speaker_1",)):
    import torch
    from transformers import BarkCoarseConfig, BarkConfig, BarkFineConfig, BarkModel, BarkSemanticConfig, EncodecConfig

    torch.manual_seed(0)
    small = {"block_size": 64, "num_layers": 1, "num_heads": 2, "hidden_size": 8, "initializer_range": 0.4}
    fine = BarkFineConfig(input_vocab_size=17, output_vocab_size=17, n_codes_total=4, **small)
    codec = EncodecConfig(
        target_bandwidths=[1.2], num_filters=2, hidden_size=8, codebook_size=16, codebook_dim=8, num_lstm_layers=1,
        upsampling_ratios=[8, 5, 4, 2],
    )  # fmt: skip
    config = BarkConfig(
        semantic_config=BarkSemanticConfig(input_vocab_size=90, output_vocab_size=24, **small).to_dict(),
        coarse_acoustics_config=BarkCoarseConfig(input_vocab_size=60, output_vocab_size=60, **small).to_dict(),
        fine_acoustics_config=BarkFineConfig(
            input_vocab_size=17, output_vocab_size=17, n_codes_total=4, **small
        ).to_dict(),
        codec_config=codec.to_dict(),
    )
    model = BarkModel(config)
    for layer in model.codec_model.quantizer.layers:
        layer.codebook.embed.normal_()  # all zeros until trained: every code would sound alike
    save(model, folder)
    semantic = {
        "eos_token_id": 20, "max_new_tokens": 10, "do_sample": True, "text_encoding_offset": 24, "text_pad_token": 85,
        "semantic_infer_token": 86, "semantic_vocab_size": 20, "max_input_semantic_length": 16, "min_eos_p": 0.9,
    }  # fmt: skip
    coarse = {
        "do_sample": True, "coarse_semantic_pad_token": 55, "coarse_infer_token": 56, "max_coarse_input_length": 16,
        "max_coarse_history": 20, "sliding_window_len": 12,
    }  # fmt: skip
    fine = {"temperature": 0.5, "max_fine_history_length": 16, "max_fine_input_length": 32, "n_fine_codebooks": 4}
    write_json(
        folder / "generation_config.json",
        {
            "model_type": "bark", "sample_rate": 24_000, "codebook_size": 16, "semantic_config": semantic,
            "coarse_acoustics_config": coarse, "fine_acoustics_config": fine,
        },
    )  # fmt: skip
    save_letters(folder)
    write_bark_presets(folder, presets)
    return folder


def write_bark_presets(folder, presets):
    listed = {"repo_or_path": "someone/else"}
    for voice in presets:
        shapes = {"semantic_prompt": (10,), "coarse_prompt": (2, 15), "fine_prompt": (4, 15)}
        listed[voice] = {}
        for name, shape in shapes.items():
            path = folder / "speaker_embeddings" / f"{voice}_{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.arange(np.prod(shape)).reshape(shape) % 16)
            listed[voice][name] = path.relative_to(folder).as_posix()
    listed["v2/absent"] = dict.fromkeys(shapes, "speaker_embeddings/absent.npy")
    write_json(folder / "speaker_embeddings_path.json", listed)


def build_seamless(folder, *, version=1, role="Model"):
    import torch
    import transformers
    from transformers import SeamlessM4TFeatureExtractor, SeamlessM4TTokenizer

    torch.manual_seed(0)
    pieces = ["<pad>", "<unk>", "<s>", "</s>", *f"\u2581{LETTERS}"]
    tokenizer = SeamlessM4TTokenizer(
        vocab={piece: n for n, piece in enumerate(pieces)}, merges=[], src_lang="eng", tgt_lang="eng",
        additional_special_tokens=["__eng__", "__fra__"],
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    SeamlessM4TFeatureExtractor(num_mel_bins=4, feature_size=4).save_pretrained(folder)
    prefix = "SeamlessM4Tv2" if version == 2 else "SeamlessM4T"
    own = {"char_vocab_size": 20, "t2u_variance_predictor_embed_dim": 8, "t2u_variance_predictor_hidden_dim": 8}
    layers = {
        f"{part}_{name}": value
        for part in ("encoder", "decoder", "t2u_encoder", "t2u_decoder")
        for name, value in (("layers", 1), ("ffn_dim", 8), ("attention_heads", 2))
    }
    config = getattr(transformers, f"{prefix}Config")(
        vocab_size=len(tokenizer), t2u_vocab_size=20, hidden_size=8, speech_encoder_layers=1, max_new_tokens=5,
        speech_encoder_attention_heads=2, speech_encoder_intermediate_size=8, feature_projection_input_dim=8,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, unit_hifi_gan_vocab_size=20, unit_embed_dim=8,
        lang_embed_dim=4, spkr_embed_dim=4, vocoder_num_langs=2, vocoder_num_spkrs=3, t2u_max_new_tokens=5,
        max_position_embeddings=32, vocoder_offset=0, **layers, **HIFIGAN, **(own if version == 2 else {}),
    )  # fmt: skip
    save(getattr(transformers, f"{prefix}{role}")(config), folder)
    languages = {name: tokenizer.convert_tokens_to_ids(f"__{name}__") for name in ("fra", "eng")}
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": 2, "decoder_start_token_id": 3, "eos_token_id": 3, "pad_token_id": 0, "max_new_tokens": 5,
            "text_decoder_lang_to_code_id": {**languages, "deu": 5}, "t2u_lang_code_to_id": {"eng": 18, "fra": 19},
            "vocoder_lang_code_to_id": {"eng": 0, "fra": 1},
            "id_to_text": {str(n): piece for piece, n in tokenizer.get_vocab().items()},
            "char_to_id": {letter: n % 20 for n, letter in enumerate(f"_\u2581{LETTERS}<>/")},
        },
    )  # fmt: skip
    return folder


def build_fastspeech2(folder, *, whole=True):
    import torch
    from transformers import (
        FastSpeech2ConformerConfig,
        FastSpeech2ConformerHifiGan,
        FastSpeech2ConformerHifiGanConfig,
        FastSpeech2ConformerModel,
        FastSpeech2ConformerWithHifiGan,
        FastSpeech2ConformerWithHifiGanConfig,
    )

    torch.manual_seed(0)
    predictors = {
        f"{name}_predictor_{size}": value
        for name in ("duration", "pitch", "energy")
        for size, value in (("layers", 1), ("channels", 8), ("kernel_size", 3))
    }
    config = FastSpeech2ConformerConfig(
        hidden_size=8, vocab_size=29, num_mel_bins=4, encoder_num_attention_heads=2, encoder_layers=1,
        encoder_linear_units=8, encoder_kernel_size=3, decoder_layers=1, decoder_num_attention_heads=2,
        decoder_linear_units=8, decoder_kernel_size=3, speech_decoder_postnet_units=8, speech_decoder_postnet_layers=2,
        num_speakers=2, **predictors,
    )  # fmt: skip
    vocoder = FastSpeech2ConformerHifiGanConfig(model_in_dim=4, initializer_range=0.3, **HIFIGAN)
    if whole:
        both = FastSpeech2ConformerWithHifiGanConfig(model_config=config.to_dict(), vocoder_config=vocoder.to_dict())
        save(FastSpeech2ConformerWithHifiGan(both), folder)
    else:
        save(FastSpeech2ConformerModel(config), folder)
        (folder / "vocoder").mkdir()
        save(FastSpeech2ConformerHifiGan(vocoder), folder / "vocoder")
    save_letters(folder)
    return folder
