import { getServerSession } from 'next-auth';
import { cookies } from 'next/headers';
import { authOptions } from '../auth.mjs';
import { save, upload } from './actions';
import { LogIn, LogOut } from './session';

export default async function Page() {
  const session = await getServerSession(authOptions);
  const jar = await cookies();
  return (
    <>
      <h1>next-auth</h1>
      <p className="user">Logged in user: {session?.user.id ?? 'null'}</p>
      {session ? (
        <>
          <p className="note">{jar.get('note')?.value}</p>
          <form action={save}>
            <input name="note" /> <button>Save</button>
          </form>
          <p className="upload">{jar.get('upload')?.value}</p>
          <form action={upload}>
            <input type="file" name="file" /> <button>Upload</button>
          </form>
          <LogOut />
        </>
      ) : (
        <LogIn />
      )}
    </>
  );
}
