// Push-to-talk: hold the button, or tap it once to begin and again to send.

import type { Session } from "@parley/client/ui/portable";
import { useRef } from "react";
import { Pressable, StyleSheet, Text } from "react-native";
import { colors } from "./style";

const TAP_MS = 300;

interface TalkButtonProps {
  readonly session: Session;
  readonly isHolding: boolean;
  readonly isDisabled: boolean;
}

export function TalkButton({ session, isHolding, isDisabled }: TalkButtonProps) {
  const pressedAt = useRef(-Infinity);
  const press = (): void => {
    // Pressed again after a tap: that is what a tap waits for.
    if (isHolding) return session.release();
    pressedAt.current = performance.now();
    void session.press();
  };
  const release = (): void => {
    if (performance.now() - pressedAt.current >= TAP_MS) session.release();
  };
  return (
    <Pressable
      // A screen reader activates; it does not hold.
      accessibilityActions={[{ name: "activate" }]}
      accessibilityLabel={isHolding ? "Stop talking" : "Hold to talk"}
      accessibilityRole="button"
      accessibilityState={{ disabled: isDisabled, selected: isHolding }}
      disabled={isDisabled}
      onAccessibilityAction={press}
      onPressIn={press}
      onPressOut={release}
      style={[styles.button, isHolding && styles.held]}
    >
      <Text style={styles.label}>{isHolding ? "Listening …" : "Hold to talk"}</Text>
    </Pressable>
  );
}

const styles = StyleSheet.create({
  button: { minHeight: 48, borderRadius: 24, paddingHorizontal: 28, justifyContent: "center", backgroundColor: colors.accent },
  held: { backgroundColor: colors.danger },
  label: { color: colors.text, fontSize: 16, fontWeight: "600" },
});
