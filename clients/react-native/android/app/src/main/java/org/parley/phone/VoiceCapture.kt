package org.parley.phone

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import kotlin.concurrent.thread

private const val RATE_HERTZ = 16_000
/** 20 ms of 16-bit samples, which is what the gateway is sent. */
private const val FRAME_BYTES = RATE_HERTZ / 50 * 2
/** What the system holds while this process is busy: 200 ms. */
private const val HELD_FRAMES = 10

/**
 * The open microphone: 16 bit, mono, 16 kHz, in frames of 20 ms, on a thread of its own.
 *
 * The source VOICE_COMMUNICATION is the one from which Android takes out the echo of the loudspeaker; without that, an open
 * microphone would have the digital human interrupt itself. Throws a RuntimeException when there is no microphone, another
 * app has it, or it is not allowed.
 */
@SuppressLint("MissingPermission") // The caller has asked for it; without it the builder throws.
internal class VoiceCapture(private val onFrame: (ByteArray) -> Unit, private val onGone: () -> Unit) {
    private val recorder: AudioRecord =
        AudioRecord.Builder()
            .setAudioSource(MediaRecorder.AudioSource.VOICE_COMMUNICATION)
            .setAudioFormat(
                AudioFormat.Builder()
                    .setEncoding(AudioFormat.ENCODING_PCM_16BIT)
                    .setSampleRate(RATE_HERTZ)
                    .setChannelMask(AudioFormat.CHANNEL_IN_MONO)
                    .build()
            )
            .setBufferSizeInBytes(FRAME_BYTES * HELD_FRAMES)
            .build()

    private val reader: Thread

    init {
        try {
            recorder.startRecording()
        } catch (error: IllegalStateException) {
            recorder.release()
            throw error
        }
        reader = thread(name = "voice-capture") { read() }
    }

    /** Releases the microphone. */
    fun close() {
        reader.interrupt()
        reader.join()
    }

    private fun read() {
        try {
            while (!Thread.currentThread().isInterrupted) {
                val frame = ByteArray(FRAME_BYTES)
                val read = recorder.read(frame, 0, FRAME_BYTES)
                if (read == FRAME_BYTES) onFrame(frame)
                else if (read < 0) {
                    onGone()
                    return
                }
            }
        } finally {
            recorder.release()
        }
    }
}
