import { constants } from "node:os";
import { getSystemErrorName } from "node:util";

/** An address in memory, as a number: those of this process are below 2^48. */
export type Pointer = number;

/**
 * System calls on sockets, as the C library has them: -1 is an error, that {@link errno} names. Lengths and offsets are for the caller to bound: nothing here is checked.
 */
export interface SystemCalls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Pointer, length: number): number;
  connect(fd: number, address: Pointer, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: Pointer, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Pointer, length: Pointer): number;
  /** @param length of the memory at `address`, as 32 bits; becomes that of the address */
  getsockname(fd: number, address: Pointer, length: Pointer): number;
  getpeername(fd: number, address: Pointer, length: Pointer): number;
  /** @param address 0: the peer that the socket is connected to */
  sendto(fd: number, bytes: Pointer, length: number, flags: number, address: Pointer, addressLength: number): number;
  /** @param headers `struct mmsghdr` as often as `count` says */
  recvmmsg(fd: number, headers: Pointer, count: number, flags: number, timeout: Pointer): number;
  close(fd: number): number;
  /** Another descriptor of the same socket, which programs that are started do not get. */
  duplicate(fd: number): number;
  /** 1, 0 when the text is no address of the family. */
  inetPton(family: number, text: string, address: Pointer): number;
  /** 0 when it cannot be written. */
  inetNtop(family: number, address: Pointer, text: Pointer, length: number): Pointer;
  /** 0 when there is none of the name. */
  interfaceIndex(name: string): number;
  /** 0 when there is none. @param name 16 bytes */
  interfaceName(index: number, name: Pointer): Pointer;
  /** Of the call before. */
  errno(): number;
  /** Where a piece of memory is. It must not be one that V8 moves: an ArrayBuffer by itself is not. */
  addressOf(memory: ArrayBuffer): Pointer;
  /** Calls back when something can be read, or, when asked for, written. The descriptor is not to be closed before this is. */
  poll(fd: number, wanted: PollEvents, callback: PollCallback): Poll;
}

export interface PollEvents {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** @param status below 0: the descriptor has an error, and polling is over until it is started again */
export type PollCallback = (status: number, events: PollEvents) => void;

export interface Poll {
  start(wanted: PollEvents, callback: PollCallback): void;
  close(): void;
}

// Values of Linux, the same on x64 and arm64 (include/uapi/asm-generic).
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM = 2;
/** SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC */
export const DATAGRAM = SOCK_DGRAM | 0o4000 | 0o2000000;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
/** Linux 4.12: nine numbers of 32 bits, of which the first is what waits to be read, the second the room for it, in bytes of memory. */
export const SO_MEMINFO = 55;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
const F_DUPFD_CLOEXEC = 1030;
const LOWEST_COPY = 3;

export const { EAGAIN, EINTR, EINVAL, EMSGSIZE } = constants.errno;

/** `sizeof` and offsets in bytes, on 64-bit systems with glibc and with musl. */
export const MMSGHDR = { bytes: 64, name: 0, nameLength: 8, vectors: 16, vectorCount: 24, length: 56 } as const;
export const IOVEC = { bytes: 16, base: 0, length: 8 } as const;

const ARCHITECTURES: readonly string[] = ["x64", "arm64"];

/**
 * The system calls of this thread; each thread has its own.
 *
 * @throws Error that says in one sentence why there are none
 */
export async function loadSystemCalls(): Promise<SystemCalls> {
  if (process.platform !== "linux") throw new Error(`it is for Linux, and this is ${process.platform}`);
  if (!ARCHITECTURES.includes(process.arch)) throw new Error(`it is for x64 and arm64, and this is ${process.arch}`);
  const { default: koffi } = await import("koffi");
  const library = koffi.load(null);
  // Pointers as int64: a JavaScript number goes through as it is, where a Buffer has to be looked up with each call.
  const fcntl = library.func("int fcntl(int fd, int command, ...)");
  return {
    socket: library.func("int socket(int family, int type, int protocol)") as SystemCalls["socket"],
    bind: library.func("int bind(int fd, int64_t address, int length)") as SystemCalls["bind"],
    connect: library.func("int connect(int fd, int64_t address, int length)") as SystemCalls["connect"],
    setsockopt: library.func("int setsockopt(int fd, int level, int name, int64_t value, int length)") as SystemCalls["setsockopt"],
    getsockopt: library.func("int getsockopt(int fd, int level, int name, int64_t value, int64_t length)") as SystemCalls["getsockopt"],
    getsockname: library.func("int getsockname(int fd, int64_t address, int64_t length)") as SystemCalls["getsockname"],
    getpeername: library.func("int getpeername(int fd, int64_t address, int64_t length)") as SystemCalls["getpeername"],
    sendto: library.func(
      "int64_t sendto(int fd, int64_t bytes, int64_t length, int flags, int64_t address, int addressLength)",
    ) as SystemCalls["sendto"],
    recvmmsg: library.func("int recvmmsg(int fd, int64_t headers, int count, int flags, int64_t timeout)") as SystemCalls["recvmmsg"],
    close: library.func("int close(int fd)") as SystemCalls["close"],
    duplicate: (fd) => fcntl(fd, F_DUPFD_CLOEXEC, "int", LOWEST_COPY) as number,
    inetPton: library.func("int inet_pton(int family, const char *text, int64_t address)") as SystemCalls["inetPton"],
    inetNtop: library.func("int64_t inet_ntop(int family, int64_t address, int64_t text, int length)") as SystemCalls["inetNtop"],
    interfaceIndex: library.func("int if_nametoindex(const char *name)") as SystemCalls["interfaceIndex"],
    interfaceName: library.func("int64_t if_indextoname(int index, int64_t name)") as SystemCalls["interfaceName"],
    errno: () => koffi.errno(),
    addressOf: (memory) => Number(koffi.address(memory)),
    // The declaration of koffi 3.3 leaves out the first argument of its callback.
    poll: (fd, wanted, callback) => koffi.node.poll(fd, wanted, callback as never) as unknown as Poll,
  };
}

/** What a failed call says, as Node.js would say it. @param errno of the system, above 0 */
export function systemError(errno: number, syscall: string, address?: string, port = 0): NodeJS.ErrnoException {
  let code: string;
  try {
    code = getSystemErrorName(-errno);
  } catch {
    code = `E${errno}`; // one that libuv has no name for
  }
  const place = address === undefined ? "" : ` ${address}${port > 0 ? `:${port}` : ""}`;
  return Object.assign(new Error(`${syscall} ${code}${place}`), {
    errno: -errno,
    code,
    syscall,
    ...(address !== undefined && { address, port }),
  });
}
