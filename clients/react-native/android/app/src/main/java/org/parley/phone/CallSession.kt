package org.parley.phone

import android.content.Context
import android.media.AudioAttributes
import android.media.AudioDeviceCallback
import android.media.AudioDeviceInfo
import android.media.AudioFocusRequest
import android.media.AudioManager

/** Best first: a headset before the loudspeaker, and never the earpiece, since the user looks at the screen. */
private val ROUTES =
    listOf(
        AudioDeviceInfo.TYPE_BLE_HEADSET,
        AudioDeviceInfo.TYPE_BLUETOOTH_SCO,
        AudioDeviceInfo.TYPE_USB_HEADSET,
        AudioDeviceInfo.TYPE_WIRED_HEADSET,
        AudioDeviceInfo.TYPE_WIRED_HEADPHONES,
        AudioDeviceInfo.TYPE_BUILTIN_SPEAKER,
    )

/**
 * The phone's sound while a call lasts: its focus among the apps, and where it is heard.
 *
 * `onInterruption` is told when another app or a phone call takes the focus, and when it is given back. An app that keeps
 * the focus never gives it back; `enter` asks for it again.
 */
internal class CallSession(context: Context, private val onInterruption: (Boolean) -> Unit) {
    private val audio = context.getSystemService(AudioManager::class.java)

    private val focus =
        AudioFocusRequest.Builder(AudioManager.AUDIOFOCUS_GAIN_TRANSIENT_EXCLUSIVE)
            .setAudioAttributes(
                AudioAttributes.Builder()
                    .setUsage(AudioAttributes.USAGE_VOICE_COMMUNICATION)
                    .setContentType(AudioAttributes.CONTENT_TYPE_SPEECH)
                    .build()
            )
            .setOnAudioFocusChangeListener(::onFocus)
            .build()

    private val devices =
        object : AudioDeviceCallback() {
            override fun onAudioDevicesAdded(added: Array<AudioDeviceInfo>) = route()

            override fun onAudioDevicesRemoved(removed: Array<AudioDeviceInfo>) = route()
        }

    /** Returns whether the call has the focus; a phone call does not let go of it. */
    fun enter(): Boolean {
        val isGranted = audio.requestAudioFocus(focus) == AudioManager.AUDIOFOCUS_REQUEST_GRANTED
        if (isGranted) {
            audio.mode = AudioManager.MODE_IN_COMMUNICATION
            // Called back at once with all devices that there are.
            audio.unregisterAudioDeviceCallback(devices)
            audio.registerAudioDeviceCallback(devices, null)
        }
        return isGranted
    }

    fun leave() {
        audio.unregisterAudioDeviceCallback(devices)
        audio.clearCommunicationDevice()
        audio.mode = AudioManager.MODE_NORMAL
        audio.abandonAudioFocusRequest(focus)
    }

    private fun onFocus(change: Int) {
        when (change) {
            AudioManager.AUDIOFOCUS_GAIN -> onInterruption(false)
            AudioManager.AUDIOFOCUS_LOSS,
            AudioManager.AUDIOFOCUS_LOSS_TRANSIENT -> onInterruption(true)
        }
    }

    private fun route() {
        val available = audio.availableCommunicationDevices
        val best = ROUTES.firstNotNullOfOrNull { type -> available.find { it.type == type } } ?: return
        audio.setCommunicationDevice(best)
    }
}
