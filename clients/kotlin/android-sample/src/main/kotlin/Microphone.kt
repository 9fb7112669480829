package parley.sample

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.isActive

private const val SAMPLE_RATE = 16_000

/** 20 ms of 16-bit samples. */
private const val FRAME_BYTES = 640
private const val FRAMES_OF_BUFFER = 10

/**
 * What the microphone hears while it is collected, in frames that a line takes. Needs the permission
 * to record. The source is the one of calls: the phone takes its own loudspeaker out of it.
 */
@SuppressLint("MissingPermission")
internal fun microphone(): Flow<ByteArray> = flow {
    val least = AudioRecord.getMinBufferSize(
        SAMPLE_RATE, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT,
    )
    val record = AudioRecord(
        MediaRecorder.AudioSource.VOICE_COMMUNICATION,
        SAMPLE_RATE,
        AudioFormat.CHANNEL_IN_MONO,
        AudioFormat.ENCODING_PCM_16BIT,
        maxOf(least, FRAME_BYTES * FRAMES_OF_BUFFER),
    )
    check(record.state == AudioRecord.STATE_INITIALIZED) { "The microphone cannot be opened." }
    try {
        record.startRecording()
        val frame = ByteArray(FRAME_BYTES)
        while (currentCoroutineContext().isActive) {
            val count = record.read(frame, 0, frame.size)
            check(count >= 0) { "The microphone was lost ($count)." }
            emit(frame.copyOf(count))
        }
    } finally {
        record.release()
    }
}.flowOn(Dispatchers.IO)
