package parley.sample

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.media.AudioAttributes
import android.media.AudioFocusRequest
import android.media.AudioManager
import android.net.ConnectivityManager
import android.net.Network
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import java.io.IOException
import kotlin.coroutines.cancellation.CancellationException
import kotlinx.coroutines.Job
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import parley.client.Event
import parley.client.Gateway
import parley.client.Line
import parley.client.Link
import parley.client.Problem

/** This machine, as an emulator calls its host. */
private const val GATEWAY = "http://10.0.2.2:8080"
private const val ASK_FOR_MICROPHONE = 1

/**
 * A call by voice with captions. The picture is played beside it, by the vendor's SDK or a WHEP
 * player, with what `Gateway.token` says.
 */
public class TalkActivity : Activity(), CallView {
    // An app for others fetches a ticket from a server of its own here.
    private val gateway = Gateway(GATEWAY, credential = { null })
    private val scope = MainScope()
    private var call: Job? = null
    private var line: Line? = null
    private var captions = Captions()

    private lateinit var status: TextView
    private lateinit var question: TextView
    private lateinit var reply: TextView

    private val network = object : ConnectivityManager.NetworkCallback() {
        override fun onAvailable(network: Network) {
            runOnUiThread { line?.reconnect() }
        }
    }
    private val focus = AudioFocusRequest.Builder(AudioManager.AUDIOFOCUS_GAIN_TRANSIENT)
        .setAudioAttributes(
            AudioAttributes.Builder().setUsage(AudioAttributes.USAGE_VOICE_COMMUNICATION).build(),
        )
        .setOnAudioFocusChangeListener { if (it == AudioManager.AUDIOFOCUS_LOSS) hangUp() }
        .build()

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        status = TextView(this)
        question = TextView(this)
        reply = TextView(this)
        val start = Button(this).apply { text = "Call" }
        val interrupt = Button(this).apply { text = "Interrupt" }
        val end = Button(this).apply { text = "Hang up" }
        start.setOnClickListener { askForMicrophone() }
        interrupt.setOnClickListener { line?.interrupt() }
        end.setOnClickListener { hangUp() }
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        listOf(status, question, reply, start, interrupt, end).forEach(column::addView)
        setContentView(column)
        getSystemService(ConnectivityManager::class.java).registerDefaultNetworkCallback(network)
    }

    override fun onStop() {
        // Android takes the microphone from an app in the background.
        hangUp()
        super.onStop()
    }

    override fun onDestroy() {
        getSystemService(ConnectivityManager::class.java).unregisterNetworkCallback(network)
        scope.cancel()
        super.onDestroy()
    }

    override fun onRequestPermissionsResult(code: Int, permissions: Array<String>, results: IntArray) {
        if (code != ASK_FOR_MICROPHONE) return
        if (results.firstOrNull() == PackageManager.PERMISSION_GRANTED) startCall()
        else status.text = "Allow the microphone in the settings to talk."
    }

    override fun connected(line: Line) {
        this.line = line
    }

    override fun showLink(link: Link) {
        status.text = link.name.lowercase()
    }

    override fun showEvent(event: Event) {
        captions = captions.after(event)
        question.text = captions.question
        reply.text = captions.reply
    }

    private fun askForMicrophone() {
        if (checkSelfPermission(Manifest.permission.RECORD_AUDIO) == PackageManager.PERMISSION_GRANTED) {
            startCall()
        } else {
            requestPermissions(arrayOf(Manifest.permission.RECORD_AUDIO), ASK_FOR_MICROPHONE)
        }
    }

    private fun startCall() {
        if (call?.isActive == true) return
        val audio = getSystemService(AudioManager::class.java)
        audio.mode = AudioManager.MODE_IN_COMMUNICATION
        audio.requestAudioFocus(focus)
        status.text = "calling"
        call = scope.launch {
            try {
                call(gateway, microphone(), this@TalkActivity)
            } catch (e: CancellationException) {
                throw e
            } catch (e: Problem) {
                status.text = e.detail
            } catch (e: IOException) {
                status.text = e.message
            } catch (e: IllegalStateException) {
                status.text = e.message
            } finally {
                line = null
                audio.abandonAudioFocusRequest(focus)
                audio.mode = AudioManager.MODE_NORMAL
            }
        }
    }

    private fun hangUp() {
        call?.cancel()
    }
}
