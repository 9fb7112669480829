// What the widget says, in English and Chinese.

import type { SessionProblem } from "@parley/client/ui";

const en = {
  "launch": "Talk to us",
  "launch.name": "Talk with {name}",
  "call": "Call",
  "call.again": "Call again",
  "hint.open": "The microphone is open during the call; you can mute it.",
  "hint.hold": "Your microphone hears only while you hold the button.",
  "close": "Close",
  "status.idle": "Ready",
  "status.connecting": "Calling …",
  "status.reconnecting": "Reconnecting",
  "status.cut": "Cut off",
  "status.resting": "On air",
  "status.listening": "Listening",
  "status.hearing": "Hearing you",
  "status.muted": "Muted",
  "status.thinking": "Thinking",
  "status.speaking": "Speaking",
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
  "error.microphone-missing": "There is no microphone. You can write instead.",
  "error.microphone-denied": "The microphone is not allowed. Allow it in the address bar, or write instead.",
  "error.microphone-insecure": "Browsers give the microphone to secure pages only. You can write instead.",
  "error.microphone-busy": "The microphone does not start. Another program may be using it; you can write instead.",
  "error.credentials": "This page may not call: its access has expired or is not valid.",
  "error.busy": "All lines are busy. Please try again in a moment.",
  "error.unavailable": "A service that is needed does not answer. Please try again in a moment.",
  "error.unreachable": "The server does not answer. Trying again …",
  "error.not-reached": "The server does not answer. Please check your connection and try again.",
  "error.no-speech": "I did not hear anything. Please say it again, a little closer to the microphone.",
  "error.audio": "That recording cannot be used. Please say it again.",
  "error.player": "Picture and sound do not come. Trying again …",
  "error.player-gone": "Picture and sound do not come. You can read the answers.",
  "error.unseen": "Picture and sound did not come, so the call was ended.",
  "error.clock": "This device's clock is wrong. The call goes on, but set the clock.",
  "error.internal": "Something went wrong: {detail}",
  "ended.REQUESTED": "The call was ended.",
  "ended.EXPIRED": "The call reached its time limit.",
  "ended.IDLE": "The call ended because nothing was said for a while.",
  "ended.CLIENT_GONE": "The call ended because the connection was lost.",
  "ended.CLOUD": "The digital human went off air.",
  "ended.RECONCILED": "The call was cleaned up.",
  "ended.BUDGET": "The call ended because your time is used up.",
  "ended.FAILED": "The digital human failed.",
} as const;

export type Key = keyof typeof en;

const zh: Record<Key, string> = {
  "launch": "和我们聊聊",
  "launch.name": "和{name}聊聊",
  "call": "开始通话",
  "call.again": "再次通话",
  "hint.open": "通话中麦克风保持开启，可随时静音。",
  "hint.hold": "只有按住按钮时，麦克风才会收音。",
  "close": "关闭",
  "status.idle": "准备就绪",
  "status.connecting": "正在呼叫…",
  "status.reconnecting": "正在重连",
  "status.cut": "已断开",
  "status.resting": "通话中",
  "status.listening": "正在听",
  "status.hearing": "听到您说话",
  "status.muted": "已静音",
  "status.thinking": "正在想",
  "status.speaking": "正在说",
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
  "error.microphone-missing": "没有找到麦克风，您可以打字。",
  "error.microphone-denied": "麦克风未获允许。请在地址栏中允许，或者打字。",
  "error.microphone-insecure": "浏览器只允许安全页面使用麦克风。您可以打字。",
  "error.microphone-busy": "麦克风无法启动，可能正被其他程序使用。您可以打字。",
  "error.credentials": "此页面无法呼叫：访问凭据已过期或无效。",
  "error.busy": "线路全忙，请稍后再试。",
  "error.unavailable": "所需的服务没有响应，请稍后再试。",
  "error.unreachable": "服务器没有响应，正在重试…",
  "error.not-reached": "服务器没有响应，请检查网络后重试。",
  "error.no-speech": "没有听到声音，请靠近麦克风再说一次。",
  "error.audio": "这段录音无法使用，请再说一次。",
  "error.player": "画面和声音没有到达，正在重试…",
  "error.player-gone": "画面和声音没有到达，您可以阅读回答。",
  "error.unseen": "画面和声音没有传来，通话已结束。",
  "error.clock": "这台设备的时钟不准。通话仍在继续，但请校准时钟。",
  "error.internal": "出了点问题：{detail}",
  "ended.REQUESTED": "通话已结束。",
  "ended.EXPIRED": "通话已达最长时间。",
  "ended.IDLE": "一段时间没有说话，通话已结束。",
  "ended.CLIENT_GONE": "连接中断，通话已结束。",
  "ended.CLOUD": "数字人已下线。",
  "ended.RECONCILED": "通话已被清理。",
  "ended.BUDGET": "您的通话时长已用完，通话已结束。",
  "ended.FAILED": "数字人出现故障。",
};

/** Returns the text for a key, with its `{names}` filled in. */
export type Translate = (key: Key, values?: Record<string, string>) => string;

export type Language = "en" | "zh";

/** Which of the languages of the texts is best for a language's code: English for all but Chinese. */
export function languageOf(code: string): Language {
  return code.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function textsIn(language: Language): Translate {
  const texts = { en, zh }[language];
  return (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

/** What the user is told of a problem. */
export function messageOf({ code, reason, detail }: SessionProblem, translate: Translate): string {
  const key = code === "ended" ? `ended.${reason}` : `error.${code}`;
  return translate(key in en ? (key as Key) : "ended.CLOUD", { detail });
}
