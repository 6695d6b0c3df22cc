/** The part of the npm package `sip` (0.0.6) that the demo uses; the package has no types of its own. */
declare module "sip" {
  export interface Uri {
    schema: string;
    user?: string;
    host: string;
    port?: number;
    params: Record<string, string | null>;
  }

  export interface NameAddr {
    name?: string;
    uri: string | Uri;
    params?: Record<string, string | null>;
  }

  export interface Headers {
    via?: { params: { branch?: string } }[];
    to: NameAddr;
    from: NameAddr;
    "call-id": string;
    cseq: { method: string; seq: number };
    contact?: NameAddr[];
    route?: NameAddr[];
    "record-route"?: NameAddr[];
    [name: string]: unknown;
  }

  export interface Request {
    method: string;
    uri: string | Uri;
    headers: Headers;
    content?: string;
  }

  export interface Response {
    status: number;
    reason?: string;
    headers: Headers;
    content?: string;
  }

  export interface Options {
    address: string;
    port: number;
    /** Written into Via; a host of that name in a Route is taken for this stack itself. */
    publicAddress: string;
    udp: boolean;
    tcp: boolean;
    /** Sees each message as it is about to be sent, copies included, and as it has come; what it changes is changed. */
    logger?: { send?(message: Request | Response): void; recv?(message: Request | Response): void };
  }

  /** One user agent: a UDP socket with its transactions. Instances know nothing of each other. */
  export interface Stack {
    send(message: Request, onResponse?: (response: Response) => void): void;
    send(message: Response): void;
    destroy(): void;
  }

  const sip: {
    create(options: Options, onRequest: (request: Request) => void): Stack;
    makeResponse(request: Request, status: number, reason: string): Response;
  };
  export default sip;
}
