// Whom to call, and in which language.

import type { Config, Gateway, Persona } from "@parley/client";
import { problemFrom } from "@parley/client/ui/portable";
import { useCallback, useEffect, useState } from "react";
import { ScrollView, StyleSheet, Text, View } from "react-native";
import { noticeOf } from "../notice";
import type { PhoneCall } from "../phone_call";
import { useSession, useStore } from "../store";
import { textOf } from "../texts";
import { Button } from "./Button";
import { shared } from "./style";

interface LobbyProps {
  readonly call: PhoneCall;
  readonly gateway: Gateway;
  readonly onLeave: () => void;
}

export function Lobby({ call, gateway, onLeave }: LobbyProps) {
  const { config, error, load } = useConfig(call, gateway);
  const notice = noticeOf(useSession(call.session), useStore(call.microphone.sound));
  const text = error === null ? notice?.text : textOf(problemFrom(error));
  return (
    <ScrollView contentContainerStyle={styles.lobby}>
      <Text style={shared.title}>Whom would you like to talk to?</Text>
      {text !== undefined && <Text accessibilityRole="alert" style={shared.text}>{text}</Text>}
      {error !== null && <Button label="Try again" onPress={load} />}
      {config?.personas.map((persona) => <Character call={call} key={persona.personaId} persona={persona} />)}
      <Button label="Another gateway" onPress={onLeave} />
    </ScrollView>
  );
}

function Character({ call, persona }: { readonly call: PhoneCall; readonly persona: Persona }) {
  const { personaId, displayName, description, languages } = persona;
  return (
    <View style={styles.character}>
      <Text style={shared.text}>{displayName ?? personaId}</Text>
      {description !== undefined && <Text style={shared.quiet}>{description}</Text>}
      <View style={styles.languages}>
        {languages.map((lang) => (
          <Button key={lang} kind="main" label={`Call (${lang})`} onPress={() => void call.start({ personaId, lang })} />
        ))}
      </View>
    </View>
  );
}

function useConfig(call: PhoneCall, gateway: Gateway) {
  const [config, setConfig] = useState<Config | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(() => {
    setError(null);
    const take = (answer: Config): void => {
      call.config = answer;
      setConfig(answer);
    };
    gateway.config().then(take, setError);
  }, [call, gateway]);
  useEffect(load, [load]);
  return { config, error, load };
}

const styles = StyleSheet.create({
  lobby: { gap: 16, padding: 24 },
  character: { gap: 8 },
  languages: { flexDirection: "row", flexWrap: "wrap", gap: 8 },
});
