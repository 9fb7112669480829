#import <PhoneSpec/PhoneSpec.h>

/// What a call needs of the phone's sound; its contract is `src/platform/NativePhoneAudio.ts`.
@interface RCTPhoneAudio : NativePhoneAudioSpecBase <NativePhoneAudioSpec>
@end
