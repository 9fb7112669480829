#import <AVFAudio/AVFAudio.h>

NS_ASSUME_NONNULL_BEGIN

/// The open microphone: 16 bit, mono, 16 kHz, in frames of 20 ms, with the echo of the loudspeaker taken out;
/// without that, an open microphone would have the digital human interrupt itself.
@interface VoiceCapture : NSObject

@property (nonatomic, readonly) AVAudioEngine *engine;

/// Frames come on a thread of the audio system.
- (instancetype)initWithFrameHandler:(void (^)(NSData *pcm))onFrame;

/// Starts, or starts again after `stop`, with the format that the input has now.
- (BOOL)start:(NSError *_Nullable *_Nullable)error;
- (void)stop;

@end

NS_ASSUME_NONNULL_END
