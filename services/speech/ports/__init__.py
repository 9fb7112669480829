"""What a conversation needs from outside: small interfaces that providers implement.

Incoming audio is mono PCM16 little-endian at 16 kHz (`LISTENING_RATE_HERTZ`); outgoing audio has
the synthesizer's own rate. A provider that fails raises `ProviderError`, never an error of its
library. So does one that stops responding: a delay that means failure for a provider on the network
is normal for a model on a busy machine, so each provider enforces its own deadlines. Closing an
async iterator early cancels the provider's work.
"""
