// A call: the digital human, what is said, and what the user can do.

import { KeyboardAvoidingView, StyleSheet, Text, View } from "react-native";
import { noticeOf } from "../notice";
import type { PhoneCall } from "../phone_call";
import { useSession, useStore } from "../store";
import { translate } from "../texts";
import { Button } from "./Button";
import { Captions } from "./Captions";
import { Dock } from "./Dock";
import { Face } from "./Face";
import { colors, shared } from "./style";

export function CallScreen({ call }: { readonly call: PhoneCall }) {
  const { session, microphone } = call;
  const state = useSession(session);
  const { picture } = useStore(call.screen);
  const sound = useStore(microphone.sound);
  const notice = noticeOf(state, sound);
  const remedies = { retry: () => void session.retry(), "take-sound": () => void microphone.retake() };
  const isListening = state.status === "listening" || state.status === "muted";
  const status = isListening && sound.isInterrupted ? "resting" : state.status;
  return (
    <KeyboardAvoidingView behavior="padding" style={styles.call}>
      <View style={styles.face}>
        {picture && <Face picture={picture} />}
        <Text accessibilityLiveRegion="polite" style={styles.status}>{translate(`status.${status}`)}</Text>
      </View>
      {notice && (
        <View style={styles.notice}>
          <Text accessibilityRole="alert" style={[shared.text, styles.noticeText]}>{notice.text}</Text>
          {notice.remedy && <Button label="Try again" onPress={remedies[notice.remedy]} />}
        </View>
      )}
      <Captions hasSound={state.links.picture === "connected" && state.links.line !== "suspended"} turn={state.turns.at(-1)} />
      <Dock call={call} isInterrupted={sound.isInterrupted} state={state} />
    </KeyboardAvoidingView>
  );
}

const styles = StyleSheet.create({
  call: { flex: 1 },
  face: { flex: 1, backgroundColor: "black" },
  status: { position: "absolute", top: 16, left: 16, color: colors.text, fontSize: 14 },
  notice: { flexDirection: "row", alignItems: "center", gap: 12, padding: 12, backgroundColor: colors.surface },
  noticeText: { flex: 1 },
});
