// What the user can do during a call: talk, write, interrupt, hang up.

import { useState } from "react";
import { StyleSheet, TextInput, View } from "react-native";
import type { CallState, PhoneCall } from "../phone_call";
import type { TalkState } from "../talk";
import { Button } from "./Button";
import { colors, shared } from "./style";
import { TalkButton } from "./TalkButton";

interface DockProps {
  readonly call: PhoneCall;
  readonly state: CallState;
  readonly talk: TalkState;
}

export function Dock({ call, state, talk }: DockProps) {
  const isLive = state.phase === "live";
  const isHandsFree = talk.mode === "hands-free";
  return (
    <View style={styles.dock}>
      <Question onAsk={(text) => call.ask(text)} isDisabled={!isLive} />
      <View style={styles.row}>
        {isHandsFree ? (
          <Button
            isDisabled={!isLive || talk.isInterrupted}
            label={talk.microphone === "on" ? "Mute" : "Unmute"}
            onPress={() => void call.talk.toggle()}
          />
        ) : (
          <TalkButton call={call} isDisabled={!isLive || talk.isInterrupted} isHolding={talk.isHolding} />
        )}
        <Button
          isDisabled={!isLive}
          isSelected={isHandsFree}
          label="Hands-free"
          onPress={() => call.talk.changeMode(isHandsFree ? "hold" : "hands-free")}
        />
      </View>
      <View style={styles.row}>
        <Button isDisabled={!isLive || state.activity === "resting"} label="Interrupt" onPress={() => call.interrupt()} />
        <Button kind="danger" label="End call" onPress={() => void call.hangUp()} />
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
