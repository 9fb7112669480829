// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Parley",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Parley", targets: ["Parley"])],
    targets: [
        .target(name: "Parley"),
        .testTarget(name: "ParleyTests", dependencies: ["Parley"]),
    ]
)
