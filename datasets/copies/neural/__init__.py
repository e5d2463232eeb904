"""Neural copy-synthesis: small vocoders and codecs that are trained here on genuine speech.

A copy shares words, speaker and channel with its recording: what sets the two apart is the network alone.

One file per network; `NETWORKS` in `network.py` lists them. `train.py` trains any of them, `copier.py` makes copies
with a trained one. Nothing here is imported before it is needed: all of it needs torch.
"""
