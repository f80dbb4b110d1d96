'use server';

import { createHash } from 'node:crypto';
import { getServerSession } from 'next-auth';
import { cookies } from 'next/headers';
import { authOptions } from '../auth.mjs';

// Next.js refuses actions from other origins by itself.
export async function save(form) {
  await keep('note', form.get('note'));
}

export async function upload(form) {
  const data = Buffer.from(await form.get('file').arrayBuffer());
  await keep('upload', `${data.length} bytes, sha256 ${createHash('sha256').update(data).digest('hex')}`);
}

async function keep(name, value) {
  if (!(await getServerSession(authOptions))) throw new Error('not logged in');
  (await cookies()).set(name, value, { httpOnly: true, sameSite: 'lax', path: '/next-auth' });
}
