// First: what other modules may use as soon as they are loaded.
import "./src/platform/globals";
import { AppRegistry } from "react-native";
import { name } from "./app.json";
import { App } from "./src/App";
import { thisPhone } from "./src/platform/this_phone";

AppRegistry.registerComponent(name, () => () => <App phone={thisPhone} />);
