"""The voices that speak on this machine."""

from services.speech.ports.synthesis import Voice

VOICES = (
    Voice(voice_id="af_heart", display_name="Heart", language_codes=("en-US",)),
    Voice(voice_id="am_michael", display_name="Michael", language_codes=("en-US",)),
    Voice(voice_id="bf_emma", display_name="Emma", language_codes=("en-GB",)),
    Voice(voice_id="zf_xiaoxiao", display_name="晓晓", language_codes=("zh-CN",)),
    Voice(voice_id="zm_yunxi", display_name="云希", language_codes=("zh-CN",)),
)
"""Every voice speaks both languages; the codes name its native one."""
