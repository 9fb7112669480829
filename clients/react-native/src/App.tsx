// The app: a gateway, then whom to call there, then the call.

import { Gateway } from "@parley/client";
import { useEffect, useMemo, useState } from "react";
import { StatusBar, StyleSheet } from "react-native";
import { SafeAreaProvider, SafeAreaView } from "react-native-safe-area-context";
import { CallScreen } from "./components/CallScreen";
import { Entrance, type Access } from "./components/Entrance";
import { Lobby } from "./components/Lobby";
import { colors } from "./components/style";
import { PhoneCall } from "./phone_call";
import type { Phone } from "./platform/phone";
import { useSession } from "./store";

export function App({ phone }: { readonly phone: Phone }) {
  const [access, setAccess] = useState<Access | null>(null);
  return (
    <SafeAreaProvider>
      <StatusBar barStyle="light-content" />
      <SafeAreaView style={styles.app}>
        {access ? <Calls access={access} phone={phone} onLeave={() => setAccess(null)} /> : <Entrance onEnter={setAccess} />}
      </SafeAreaView>
    </SafeAreaProvider>
  );
}

interface CallsProps {
  readonly access: Access;
  readonly phone: Phone;
  readonly onLeave: () => void;
}

function Calls({ access, phone, onLeave }: CallsProps) {
  const gateway = useMemo(() => new Gateway({ baseUrl: access.address, credential: () => access.credential }), [access]);
  const [call, setCall] = useState<PhoneCall | null>(null);
  useEffect(() => {
    const opened = new PhoneCall(gateway, phone);
    setCall(opened);
    return () => void opened.close();
  }, [gateway, phone]);
  return call && <Rooms call={call} gateway={gateway} onLeave={onLeave} />;
}

interface RoomsProps {
  readonly call: PhoneCall;
  readonly gateway: Gateway;
  readonly onLeave: () => void;
}

function Rooms({ call, gateway, onLeave }: RoomsProps) {
  const { phase } = useSession(call.session);
  return phase === "idle" ? <Lobby call={call} gateway={gateway} onLeave={onLeave} /> : <CallScreen call={call} />;
}

const styles = StyleSheet.create({ app: { flex: 1, backgroundColor: colors.ground } });
