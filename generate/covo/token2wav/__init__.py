"""Speech tokens to sound: flow matching transformer, vocoder, streaming."""
