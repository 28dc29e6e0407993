/** What a route is for: it decides which function answers, and who may call it. */
export type Access = 'search' | 'write';

export interface Route {
  readonly methods: readonly ('GET' | 'POST' | 'PUT' | 'DELETE')[];
  /** `{name}` is one part of a path, `{name+}` is the rest of it. */
  readonly path: string;
  readonly access: Access;
}

/** Routes that exist for the default index, and below `/indexes/{index}` for every other. */
const OF_AN_INDEX: readonly Route[] = [
  { methods: ['POST'], path: '/documents', access: 'write' },
  { methods: ['GET'], path: '/documents/{key+}', access: 'search' },
  { methods: ['DELETE'], path: '/documents/{key+}', access: 'write' },
  { methods: ['POST'], path: '/documents/delete', access: 'write' },
  { methods: ['GET', 'POST'], path: '/search', access: 'search' },
  { methods: ['GET'], path: '/stats', access: 'search' },
  { methods: ['GET'], path: '/batches/{batch}', access: 'search' },
  { methods: ['POST'], path: '/reindex', access: 'write' },
  { methods: ['GET'], path: '/jobs', access: 'search' },
  { methods: ['GET'], path: '/jobs/{job}', access: 'search' },
  { methods: ['DELETE'], path: '/jobs/{job}', access: 'write' },
];

/** Every route of Aquifer. What is not here is answered 404 by the gateway. */
export const ROUTES: readonly Route[] = [
  { methods: ['GET'], path: '/health', access: 'search' },
  { methods: ['GET'], path: '/health/ready', access: 'search' },
  { methods: ['GET'], path: '/indexes', access: 'search' },
  { methods: ['GET'], path: '/indexes/{index}', access: 'search' },
  { methods: ['PUT', 'DELETE'], path: '/indexes/{index}', access: 'write' },
  ...OF_AN_INDEX,
  ...OF_AN_INDEX.map((route) => ({ ...route, path: `/indexes/{index}${route.path}` })),
];
