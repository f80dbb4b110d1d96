'use client';

import { SessionProvider, signIn, signOut, useSession } from 'next-auth/react';

export const Session = ({ children }) => (
  <SessionProvider basePath="/next-auth/api/auth">{children}</SessionProvider>
);

const Button = (props) => <button disabled={useSession().status === 'loading'} {...props} />;

export const LogIn = () => <Button onClick={() => signIn('op')}>Log in</Button>;

export const LogOut = () => <Button onClick={() => signOut()}>Log out</Button>;
