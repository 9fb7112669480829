// What users are told of a session's state and problems, in English and Chinese.

import type { SessionProblem } from "./problems.js";

const en = {
  "status.idle": "Ready",
  "status.away": "On hold",
  "status.connecting": "Connecting",
  "status.reconnecting": "Reconnecting",
  "status.cut": "Cut off",
  "status.resting": "On air",
  "status.listening": "Listening",
  "status.hearing": "Hearing you",
  "status.muted": "Muted",
  "status.thinking": "Thinking",
  "status.speaking": "Speaking",
  "error.microphone-missing": "There is no microphone. You can write instead.",
  "error.microphone-denied": "The microphone is not allowed. Allow it in the address bar, or write instead.",
  "error.microphone-insecure": "Browsers give the microphone to secure pages only. You can write instead.",
  "error.microphone-busy": "The microphone does not start. Another program may be using it; you can write instead.",
  "error.credentials": "This page may not call: its access has expired or is not valid.",
  "error.origin": "This site may not call. Whoever runs the server must add {detail} to GATEWAY_ALLOWED_ORIGINS.",
  "error.busy": "All lines are busy. Please try again in a moment.",
  "error.used-up": "What may be used for now is used up. Please try again later.",
  "error.unavailable": "A service that is needed does not answer. Please try again in a moment.",
  "error.unreachable": "The server does not answer. Trying again …",
  "error.unreachable-asked": "The server does not answer. Your question is asked as soon as it does.",
  "error.not-reached": "The server does not answer. Please check your connection and try again.",
  "error.no-speech": "I did not hear anything. Please say it again, a little closer to the microphone.",
  "error.audio": "That recording cannot be used. Please say it again.",
  "error.player": "The call is on, but picture and sound do not come. Trying again …",
  "error.player-gone": "Picture and sound do not come. You can read the answers.",
  "error.unseen": "Picture and sound did not come, so the call was ended.",
  "error.clock": "This device's clock is wrong. The call goes on, but set the clock.",
  "error.internal": "Something went wrong: {detail}",
  "ended.REQUESTED": "The call was ended.",
  "ended.EXPIRED": "The call reached its time limit.",
  "ended.IDLE": "The call ended because nothing was said for a while.",
  "ended.CLIENT_GONE": "The call ended while you were away.",
  "ended.CLOUD": "The digital human went off air.",
  "ended.RECONCILED": "The call was cleaned up.",
  "ended.BUDGET": "The call ended because your time is used up.",
  "ended.FAILED": "The digital human failed.",
} as const;

export type SharedKey = keyof typeof en;

const zh: Record<SharedKey, string> = {
  "status.idle": "准备就绪",
  "status.away": "通话保留中",
  "status.connecting": "正在连接",
  "status.reconnecting": "正在重连",
  "status.cut": "已断开",
  "status.resting": "通话中",
  "status.listening": "正在听",
  "status.hearing": "听到您说话",
  "status.muted": "已静音",
  "status.thinking": "正在想",
  "status.speaking": "正在说",
  "error.microphone-missing": "没有找到麦克风，您可以打字。",
  "error.microphone-denied": "麦克风未获允许。请在地址栏中允许，或者打字。",
  "error.microphone-insecure": "浏览器只允许安全页面使用麦克风。您可以打字。",
  "error.microphone-busy": "麦克风无法启动，可能正被其他程序使用。您可以打字。",
  "error.credentials": "此页面无法呼叫：访问凭据已过期或无效。",
  "error.origin": "此网站无法呼叫。服务器管理员需将 {detail} 加入 GATEWAY_ALLOWED_ORIGINS。",
  "error.busy": "线路全忙，请稍后再试。",
  "error.used-up": "目前的用量已用完，请以后再试。",
  "error.unavailable": "所需的服务没有响应，请稍后再试。",
  "error.unreachable": "服务器没有响应，正在重试…",
  "error.unreachable-asked": "服务器没有响应，恢复后会立即提出您的问题。",
  "error.not-reached": "服务器没有响应，请检查网络后重试。",
  "error.no-speech": "没有听到声音，请靠近麦克风再说一次。",
  "error.audio": "这段录音无法使用，请再说一次。",
  "error.player": "通话已接通，但画面和声音没有到达，正在重试…",
  "error.player-gone": "画面和声音没有到达，您可以阅读回答。",
  "error.unseen": "画面和声音没有传来，通话已结束。",
  "error.clock": "这台设备的时钟不准。通话仍在继续，但请校准时钟。",
  "error.internal": "出了点问题：{detail}",
  "ended.REQUESTED": "通话已结束。",
  "ended.EXPIRED": "通话已达最长时间。",
  "ended.IDLE": "一段时间没有说话，通话已结束。",
  "ended.CLIENT_GONE": "您离开期间，通话已结束。",
  "ended.CLOUD": "数字人已下线。",
  "ended.RECONCILED": "通话已被清理。",
  "ended.BUDGET": "您的通话时长已用完，通话已结束。",
  "ended.FAILED": "数字人出现故障。",
};

/** By language; an interface that says something else of its own replaces a text. */
export const TEXTS = { en, zh };

export type Language = keyof typeof TEXTS;

/** Which of the languages of the texts is best for a language's code: English for all but Chinese. */
export function languageOf(code: string): Language {
  return code.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** What the user is told of a problem, of which a question may wait for the end. */
export function messageOf(
  { code, reason, detail }: SessionProblem,
  translate: (key: SharedKey, values: Record<string, string>) => string,
  isAsking = false,
): string {
  if (code === "unreachable" && isAsking) return translate("error.unreachable-asked", {});
  const ended = `ended.${reason}`;
  if (code !== "ended") return translate(`error.${code}`, { detail });
  return translate(ended in en ? (ended as SharedKey) : "ended.CLOUD", {});
}
