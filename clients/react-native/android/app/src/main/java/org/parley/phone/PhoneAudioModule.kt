package org.parley.phone

import android.util.Base64
import android.view.WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
import com.facebook.react.bridge.Promise
import com.facebook.react.bridge.ReactApplicationContext

/** What a call needs of the phone's sound; its contract is `src/platform/NativePhoneAudio.ts`. */
class PhoneAudioModule(private val context: ReactApplicationContext) : NativePhoneAudioSpec(context) {
    private val session = CallSession(context) { isInterrupted -> emitOnInterruption(isInterrupted) }
    @Volatile private var capture: VoiceCapture? = null

    override fun enter(promise: Promise) {
        keepScreenOn(true)
        promise.resolve(session.enter())
    }

    override fun leave() {
        closeMicrophone()
        session.leave()
        keepScreenOn(false)
    }

    override fun openMicrophone(promise: Promise) {
        if (capture == null) {
            try {
                capture = VoiceCapture(::emitFrame, ::endCapture)
            } catch (error: RuntimeException) {
                promise.reject("MICROPHONE_UNAVAILABLE", error)
                return
            }
        }
        promise.resolve(null)
    }

    override fun closeMicrophone() {
        capture?.close()
        capture = null
    }

    override fun invalidate() {
        leave()
        super.invalidate()
    }

    /** The microphone has failed, and released itself. */
    private fun endCapture() {
        capture = null
        emitOnMicrophoneGone()
    }

    private fun emitFrame(pcm: ByteArray) = emitOnFrame(Base64.encodeToString(pcm, Base64.NO_WRAP))

    private fun keepScreenOn(isOn: Boolean) {
        val activity = context.currentActivity ?: return
        activity.runOnUiThread {
            if (isOn) activity.window.addFlags(FLAG_KEEP_SCREEN_ON) else activity.window.clearFlags(FLAG_KEEP_SCREEN_ON)
        }
    }

    companion object {
        const val NAME = NativePhoneAudioSpec.NAME
    }
}
