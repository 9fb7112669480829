// Live captions: the question as it is recognised, the reply word by word as it is spoken.

import { captionOf, split, type Turn } from "@parley/client";
import { useEffect, useState } from "react";
import { ScrollView, StyleSheet, Text } from "react-native";
import { colors, shared } from "./style";

interface CaptionsProps {
  readonly turn: Turn | undefined;
  /** Words appear only while there is sound for them to follow. */
  readonly hasSound: boolean;
}

export function Captions({ turn, hasSound }: CaptionsProps) {
  return (
    <ScrollView contentContainerStyle={styles.words} style={styles.captions}>
      {turn && turn.question !== "" && <Text style={shared.quiet}>{turn.question}</Text>}
      {turn?.end && <Said end={turn.end} />}
      {turn && !turn.end && turn.spokenSince !== null && hasSound && <Spoken turn={turn} />}
    </ScrollView>
  );
}

/** A reply that is over; what was not heard is struck out. */
function Said({ end }: { readonly end: NonNullable<Turn["end"]> }) {
  const [heard, unheard] = split(end);
  return (
    <Text accessibilityLiveRegion="polite" style={shared.text}>
      {heard}
      {unheard !== "" && <Text style={styles.unheard}>{unheard}</Text>}
    </Text>
  );
}

function Spoken({ turn }: { readonly turn: Turn }) {
  useFrames();
  return (
    <Text style={shared.text}>
      {captionOf(turn).map(({ text, isSpoken }, index) => (
        <Text key={index} style={!isSpoken && styles.coming}>{text}</Text>
      ))}
    </Text>
  );
}

/** Renders again with each frame of the screen. */
function useFrames(): void {
  const [, setTime] = useState(0);
  useEffect(() => {
    const next = (time: number): void => {
      setTime(time);
      frame = requestAnimationFrame(next);
    };
    let frame = requestAnimationFrame(next);
    return () => cancelAnimationFrame(frame);
  }, []);
}

const styles = StyleSheet.create({
  captions: { flexGrow: 0, maxHeight: 180 },
  words: { gap: 6, padding: 16 },
  unheard: { color: colors.quiet, textDecorationLine: "line-through" },
  // Keeps its place until it is spoken.
  coming: { color: "transparent" },
});
