// A call: the digital human, what is said, and what the user can do.

import { KeyboardAvoidingView, StyleSheet, Text, View } from "react-native";
import { noticeOf } from "../notice";
import type { CallState, PhoneCall } from "../phone_call";
import { useStore } from "../store";
import type { TalkState } from "../talk";
import { Button } from "./Button";
import { Captions } from "./Captions";
import { Dock } from "./Dock";
import { Face } from "./Face";
import { colors, shared } from "./style";

export function CallScreen({ call }: { readonly call: PhoneCall }) {
  const state = useStore(call.state);
  const talk = useStore(call.talk.state);
  const notice = noticeOf(state, talk);
  const remedies = { retry: () => call.retry(), "take-sound": () => void call.talk.enter() };
  return (
    <KeyboardAvoidingView behavior="padding" style={styles.call}>
      <View style={styles.face}>
        {state.picture && <Face picture={state.picture} />}
        <Text accessibilityLiveRegion="polite" style={styles.status}>{statusOf(state, talk)}</Text>
      </View>
      {notice && (
        <View style={styles.notice}>
          <Text accessibilityRole="alert" style={[shared.text, styles.noticeText]}>{notice.text}</Text>
          {notice.remedy && <Button label="Try again" onPress={remedies[notice.remedy]} />}
        </View>
      )}
      <Captions hasSound={state.sight === "connected" && state.line !== "suspended"} turn={state.turns.at(-1)} />
      <Dock call={call} state={state} talk={talk} />
    </KeyboardAvoidingView>
  );
}

function statusOf({ phase, line, sight, activity, isUserSpeaking }: CallState, talk: TalkState): string {
  if (phase === "away") return "On hold";
  if (phase !== "live" || (line === "connecting" && sight === "connecting")) return "Connecting";
  if (line === "given-up") return "Cut off";
  if (line === "broken" || line === "suspended" || sight === "broken") return "Reconnecting";
  if (sight === "connecting" || line === "connecting") return "Connecting";
  if (isUserSpeaking) return "Hearing you";
  if (talk.isHolding) return "Listening";
  if (activity === "thinking") return "Thinking";
  if (activity === "speaking") return "Speaking";
  if (talk.mode === "hold" || talk.isInterrupted) return "On air";
  return talk.microphone === "on" ? "Listening" : talk.microphone === "muted" ? "Muted" : "On air";
}

const styles = StyleSheet.create({
  call: { flex: 1 },
  face: { flex: 1, backgroundColor: "black" },
  status: { position: "absolute", top: 16, left: 16, color: colors.text, fontSize: 14 },
  notice: { flexDirection: "row", alignItems: "center", gap: 12, padding: 12, backgroundColor: colors.surface },
  noticeText: { flex: 1 },
});
