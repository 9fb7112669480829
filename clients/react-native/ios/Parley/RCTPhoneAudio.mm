#import "RCTPhoneAudio.h"

#import <AVFAudio/AVFAudio.h>
#import <UIKit/UIKit.h>
#import <WebRTC/RTCAudioSessionConfiguration.h>

#import "VoiceCapture.h"

// VideoChat prefers the loudspeaker to the earpiece, and a headset to both.
static AVAudioSessionMode const kMode = AVAudioSessionModeVideoChat;
static AVAudioSessionCategory const kCategory = AVAudioSessionCategoryPlayAndRecord;
static const AVAudioSessionCategoryOptions kOptions = AVAudioSessionCategoryOptionAllowBluetooth;

@implementation RCTPhoneAudio {
  VoiceCapture *_capture;
}

+ (NSString *)moduleName
{
  return @"PhoneAudio";
}

- (instancetype)init
{
  if (self = [super init]) {
    NSNotificationCenter *center = NSNotificationCenter.defaultCenter;
    [center addObserver:self selector:@selector(sessionWasInterrupted:) name:AVAudioSessionInterruptionNotification object:nil];
    [center addObserver:self selector:@selector(routeHasChanged:) name:AVAudioEngineConfigurationChangeNotification object:nil];
    [center addObserver:self selector:@selector(microphoneHasFailed) name:AVAudioSessionMediaServicesWereResetNotification object:nil];
  }
  return self;
}

- (void)enter:(RCTPromiseResolveBlock)resolve reject:(RCTPromiseRejectBlock)reject
{
  // WebRTC configures the session itself when it begins to play, as it is told here.
  RTCAudioSessionConfiguration *webRTC = [RTCAudioSessionConfiguration webRTCConfiguration];
  webRTC.category = kCategory;
  webRTC.categoryOptions = kOptions;
  webRTC.mode = kMode;
  [RTCAudioSessionConfiguration setWebRTCConfiguration:webRTC];

  [self keepScreenOn:YES];
  AVAudioSession *session = AVAudioSession.sharedInstance;
  BOOL isOurs = [session setCategory:kCategory mode:kMode options:kOptions error:nil] && [session setActive:YES error:nil];
  resolve(@(isOurs));
}

- (void)leave
{
  [self closeMicrophone];
  [AVAudioSession.sharedInstance setActive:NO withOptions:AVAudioSessionSetActiveOptionNotifyOthersOnDeactivation error:nil];
  [self keepScreenOn:NO];
}

- (void)openMicrophone:(RCTPromiseResolveBlock)resolve reject:(RCTPromiseRejectBlock)reject
{
  [AVAudioApplication requestRecordPermissionWithCompletionHandler:^(BOOL isGranted) {
    NSError *error = nil;
    if (!isGranted) {
      reject(@"MICROPHONE_DENIED", @"The microphone is not allowed.", nil);
    } else if ([self startCapture:&error]) {
      resolve(nil);
    } else {
      reject(@"MICROPHONE_UNAVAILABLE", @"There is no microphone.", error);
    }
  }];
}

- (void)closeMicrophone
{
  @synchronized(self) {
    [_capture stop];
    _capture = nil;
  }
}

- (void)invalidate
{
  [NSNotificationCenter.defaultCenter removeObserver:self];
  [self leave];
}

- (std::shared_ptr<facebook::react::TurboModule>)getTurboModule:(const facebook::react::ObjCTurboModule::InitParams &)params
{
  return std::make_shared<facebook::react::NativePhoneAudioSpecJSI>(params);
}

- (BOOL)startCapture:(NSError **)error
{
  @synchronized(self) {
    if (_capture) {
      return YES;
    }
    __weak RCTPhoneAudio *weakSelf = self;
    VoiceCapture *capture = [[VoiceCapture alloc] initWithFrameHandler:^(NSData *pcm) {
      [weakSelf emitOnFrame:[pcm base64EncodedStringWithOptions:0]];
    }];
    if (![capture start:error]) {
      return NO;
    }
    _capture = capture;
    return YES;
  }
}

- (void)sessionWasInterrupted:(NSNotification *)notification
{
  NSUInteger type = [notification.userInfo[AVAudioSessionInterruptionTypeKey] unsignedIntegerValue];
  [self emitOnInterruption:type == AVAudioSessionInterruptionTypeBegan];
}

/// The engine stops when a headset is plugged in or taken out, because the format of its input changes.
- (void)routeHasChanged:(NSNotification *)notification
{
  @synchronized(self) {
    if (!_capture || notification.object != _capture.engine) {
      return;
    }
    [_capture stop];
    if ([_capture start:nil]) {
      return;
    }
  }
  [self microphoneHasFailed];
}

- (void)microphoneHasFailed
{
  [self closeMicrophone];
  [self emitOnMicrophoneGone];
}

- (void)keepScreenOn:(BOOL)isOn
{
  dispatch_async(dispatch_get_main_queue(), ^{
    UIApplication.sharedApplication.idleTimerDisabled = isOn;
  });
}

@end
