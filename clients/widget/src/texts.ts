// What the widget says, in English and Chinese.

import { type Language, TEXTS } from "@parley/client/ui";

const en = {
  ...TEXTS.en,
  "launch": "Talk to us",
  "launch.name": "Talk with {name}",
  "call": "Call",
  "call.again": "Call again",
  "hint.open": "The microphone is open during the call; you can mute it.",
  "hint.hold": "Your microphone hears only while you hold the button.",
  "close": "Close",
  "status.connecting": "Calling …",
  "talk.hold": "Hold to talk",
  "talk.send": "Send",
  "talk.mute": "Mute",
  "talk.unmute": "Unmute",
  "talk.off": "Use microphone",
  "text": "Write a question",
  "send": "Send",
  "interrupt": "Interrupt",
  "hangup": "End call",
  "sound": "Turn the sound on",
  "you": "You",
  "retry": "Try again",
  "dismiss": "Dismiss",
} as const;

export type Key = keyof typeof en;

const zh: Record<Key, string> = {
  ...TEXTS.zh,
  "launch": "和我们聊聊",
  "launch.name": "和{name}聊聊",
  "call": "开始通话",
  "call.again": "再次通话",
  "hint.open": "通话中麦克风保持开启，可随时静音。",
  "hint.hold": "只有按住按钮时，麦克风才会收音。",
  "close": "关闭",
  "status.connecting": "正在呼叫…",
  "talk.hold": "按住说话",
  "talk.send": "发送",
  "talk.mute": "静音",
  "talk.unmute": "取消静音",
  "talk.off": "使用麦克风",
  "text": "输入您的问题",
  "send": "发送",
  "interrupt": "打断",
  "hangup": "挂断",
  "sound": "打开声音",
  "you": "您",
  "retry": "重试",
  "dismiss": "关闭提示",
};

/** Returns the text for a key, with its `{names}` filled in. */
export type Translate = (key: Key, values?: Record<string, string>) => string;

export function textsIn(language: Language): Translate {
  const texts = { en, zh }[language];
  return (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}
