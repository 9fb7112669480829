#import "VoiceCapture.h"

static const double kRateHertz = 16000;
/// 20 ms of 16-bit samples, which is what the gateway is sent.
static const NSUInteger kFrameBytes = 640;

@implementation VoiceCapture {
  void (^_onFrame)(NSData *);
  AVAudioFormat *_wanted;
  NSMutableData *_pending;
}

- (instancetype)initWithFrameHandler:(void (^)(NSData *))onFrame
{
  if (self = [super init]) {
    _onFrame = onFrame;
    _engine = [AVAudioEngine new];
    _wanted = [[AVAudioFormat alloc] initWithCommonFormat:AVAudioPCMFormatInt16 sampleRate:kRateHertz channels:1 interleaved:YES];
    _pending = [NSMutableData new];
  }
  return self;
}

- (BOOL)start:(NSError **)error
{
  AVAudioInputNode *input = _engine.inputNode;
  if (!input.isVoiceProcessingEnabled && ![input setVoiceProcessingEnabled:YES error:error]) {
    return NO;
  }
  AVAudioFormat *given = [input outputFormatForBus:0];
  // A phone whose microphone is taken has an input without channels.
  AVAudioConverter *converter = given.channelCount ? [[AVAudioConverter alloc] initFromFormat:given toFormat:_wanted] : nil;
  if (!converter) {
    return NO;
  }
  // With voice processing the first channel is the voice; others, where there are any, are not meant to be heard.
  converter.channelMap = @[ @0 ];
  _pending.length = 0;
  [input installTapOnBus:0
              bufferSize:(AVAudioFrameCount)(given.sampleRate / 50)
                  format:given
                   block:^(AVAudioPCMBuffer *buffer, AVAudioTime *when) {
                     [self take:buffer with:converter];
                   }];
  if ([_engine startAndReturnError:error]) {
    return YES;
  }
  [input removeTapOnBus:0];
  return NO;
}

- (void)stop
{
  [_engine.inputNode removeTapOnBus:0];
  [_engine stop];
}

- (void)take:(AVAudioPCMBuffer *)buffer with:(AVAudioConverter *)converter
{
  double ratio = kRateHertz / buffer.format.sampleRate;
  AVAudioFrameCount capacity = (AVAudioFrameCount)ceil(buffer.frameLength * ratio) + 1;
  AVAudioPCMBuffer *converted = [[AVAudioPCMBuffer alloc] initWithPCMFormat:_wanted frameCapacity:capacity];
  __block AVAudioPCMBuffer *next = buffer;
  [converter convertToBuffer:converted
                       error:nil
          withInputFromBlock:^AVAudioBuffer *(AVAudioPacketCount count, AVAudioConverterInputStatus *status) {
            AVAudioPCMBuffer *given = next;
            next = nil;
            *status = given ? AVAudioConverterInputStatus_HaveData : AVAudioConverterInputStatus_NoDataNow;
            return given;
          }];
  [_pending appendBytes:converted.int16ChannelData[0] length:converted.frameLength * sizeof(int16_t)];
  while (_pending.length >= kFrameBytes) {
    NSRange frame = NSMakeRange(0, kFrameBytes);
    _onFrame([_pending subdataWithRange:frame]);
    [_pending replaceBytesInRange:frame withBytes:NULL length:0];
  }
}

@end
