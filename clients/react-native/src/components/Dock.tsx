// What the user can do during a call: talk, write, interrupt, hang up.

import type { SessionState } from "@parley/client/ui/portable";
import { useState } from "react";
import { StyleSheet, TextInput, View } from "react-native";
import type { PhoneCall } from "../phone_call";
import { Button } from "./Button";
import { colors, shared } from "./style";
import { TalkButton } from "./TalkButton";

interface DockProps {
  readonly call: PhoneCall;
  readonly state: SessionState;
  readonly isInterrupted: boolean;
}

export function Dock({ call, state, isInterrupted }: DockProps) {
  const { session } = call;
  const isLive = state.phase === "live";
  const isHandsFree = state.talkMode === "open";
  return (
    <View style={styles.dock}>
      <Question onAsk={(text) => session.ask(text)} isDisabled={!isLive} />
      <View style={styles.row}>
        {isHandsFree ? (
          <Button
            isDisabled={!isLive || isInterrupted}
            label={state.microphone === "on" ? "Mute" : "Unmute"}
            onPress={() => call.toggle()}
          />
        ) : (
          <TalkButton isDisabled={!isLive || isInterrupted} isHolding={state.isHolding} session={session} />
        )}
        <Button
          isDisabled={!isLive}
          isSelected={isHandsFree}
          label="Hands-free"
          onPress={() => session.changeTalkMode(isHandsFree ? "hold" : "open")}
        />
      </View>
      <View style={styles.row}>
        <Button isDisabled={!state.canInterrupt} label="Interrupt" onPress={() => session.interrupt()} />
        <Button kind="danger" label="End call" onPress={() => void session.stop()} />
      </View>
    </View>
  );
}

function Question({ onAsk, isDisabled }: { readonly onAsk: (text: string) => void; readonly isDisabled: boolean }) {
  const [text, setText] = useState("");
  const ask = (): void => {
    if (!text.trim()) return;
    onAsk(text.trim());
    setText("");
  };
  return (
    <View style={styles.row}>
      <TextInput
        accessibilityLabel="Your question"
        editable={!isDisabled}
        onChangeText={setText}
        onSubmitEditing={ask}
        placeholder="Write instead"
        placeholderTextColor={colors.quiet}
        returnKeyType="send"
        style={[shared.input, styles.question]}
        value={text}
      />
      <Button isDisabled={isDisabled || !text.trim()} label="Send" onPress={ask} />
    </View>
  );
}

const styles = StyleSheet.create({
  dock: { gap: 12, padding: 16 },
  row: { flexDirection: "row", gap: 12, justifyContent: "center" },
  question: { flex: 1 },
});
