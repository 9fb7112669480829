import { Pressable, StyleSheet, Text } from "react-native";
import { colors } from "./style";

interface ButtonProps {
  readonly label: string;
  readonly onPress: () => void;
  readonly kind?: "plain" | "main" | "danger";
  readonly isDisabled?: boolean;
  readonly isSelected?: boolean;
}

export function Button({ label, onPress, kind = "plain", isDisabled = false, isSelected }: ButtonProps) {
  return (
    <Pressable
      accessibilityRole="button"
      accessibilityState={{ disabled: isDisabled, ...(isSelected !== undefined && { selected: isSelected }) }}
      disabled={isDisabled}
      onPress={onPress}
      style={({ pressed }) => [styles.button, styles[kind], (pressed || isDisabled) && styles.dim]}
    >
      <Text style={styles.label}>{label}</Text>
    </Pressable>
  );
}

const styles = StyleSheet.create({
  button: { minHeight: 48, borderRadius: 24, paddingHorizontal: 20, alignItems: "center", justifyContent: "center" },
  plain: { backgroundColor: colors.surface },
  main: { backgroundColor: colors.accent },
  danger: { backgroundColor: colors.danger },
  dim: { opacity: 0.6 },
  label: { color: colors.text, fontSize: 16, fontWeight: "600" },
});
