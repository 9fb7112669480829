// What components have in common.

import { StyleSheet } from "react-native";

export const colors = {
  ground: "#101418",
  surface: "#1c2329",
  text: "#f2f4f6",
  quiet: "#9aa6b2",
  accent: "#4c8dff",
  danger: "#d84a4a",
} as const;

export const shared = StyleSheet.create({
  text: { color: colors.text, fontSize: 16 },
  quiet: { color: colors.quiet, fontSize: 14 },
  title: { color: colors.text, fontSize: 28, fontWeight: "600" },
  input: { color: colors.text, backgroundColor: colors.surface, borderRadius: 12, padding: 12, fontSize: 16 },
});
