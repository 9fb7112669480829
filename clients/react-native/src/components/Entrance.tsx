// Which gateway, and what to show it.

import { useState } from "react";
import { Platform, StyleSheet, Text, TextInput, View } from "react-native";
import { Button } from "./Button";
import { colors, shared } from "./style";

export interface Access {
  readonly address: string;
  /** A key, a ticket or a user's token; "" for a gateway that is open. */
  readonly credential: string;
}

/** A gateway on the machine that runs the emulator, or the simulator. */
const ADDRESS = Platform.select({ android: "http://10.0.2.2:8080", default: "http://localhost:8080" });

export function Entrance({ onEnter }: { readonly onEnter: (access: Access) => void }) {
  const [address, setAddress] = useState(ADDRESS);
  const [credential, setCredential] = useState("");
  return (
    <View style={styles.entrance}>
      <Text style={shared.title}>Parley</Text>
      <TextInput
        accessibilityLabel="Address of the gateway"
        autoCapitalize="none"
        autoCorrect={false}
        inputMode="url"
        onChangeText={setAddress}
        style={shared.input}
        value={address}
      />
      <TextInput
        accessibilityLabel="Key or ticket, if the gateway asks for one"
        autoCapitalize="none"
        autoCorrect={false}
        onChangeText={setCredential}
        placeholder="Key or ticket, if the gateway asks for one"
        placeholderTextColor={colors.quiet}
        secureTextEntry
        style={shared.input}
        value={credential}
      />
      <Button kind="main" label="Continue" onPress={() => onEnter({ address: address.trim(), credential: credential.trim() })} />
    </View>
  );
}

const styles = StyleSheet.create({ entrance: { flex: 1, gap: 16, justifyContent: "center", padding: 24 } });
